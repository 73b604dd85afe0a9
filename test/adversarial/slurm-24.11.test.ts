/** Slurm 24.11, as Debian trixie has it. */

import { describeSlurm } from './describe-slurm.ts'

describeSlurm({ name: 'Slurm 24.11', suite: 'trixie', instance: 'a24', mayBeMissing: false })
