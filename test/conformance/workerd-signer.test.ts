import { startWorkerdTarget } from '../support/gateway-target.ts'
import { runConformance } from './run-conformance.ts'

runConformance('workerd', startWorkerdTarget, 'verifier')
