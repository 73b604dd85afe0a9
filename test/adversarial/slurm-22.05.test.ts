/** Slurm 22.05, as Debian bookworm has it. */

import { describeSlurm } from './describe-slurm.ts'

describeSlurm({ name: 'Slurm 22.05', suite: 'bookworm', instance: 'a22', mayBeMissing: false })
