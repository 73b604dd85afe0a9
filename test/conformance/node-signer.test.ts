import { startNodeTarget } from '../support/gateway-target.ts'
import { runConformance } from './run-conformance.ts'

runConformance('node', startNodeTarget, 'verifier')
