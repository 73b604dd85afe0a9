/** Slurm 26.05, as Debian forky has it. */

import { describeSlurm } from './describe-slurm.ts'

describeSlurm({ name: 'Slurm 26.05', suite: 'forky', instance: 'a26', mayBeMissing: true })
