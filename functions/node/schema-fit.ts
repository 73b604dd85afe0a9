/** Whether the database has the schema that this code needs: asked once, at the start of a process that reads tokens. */

import type { Log } from '../../src/ports.ts'
import { describeDatabaseError, isSchemaMisfit } from '../../src/tokens/database-error.ts'
import type { Database } from '../../src/tokens/database.ts'
import { requireSchema } from '../../src/tokens/token-store.ts'

/**
 * A schema that does not fit stops the start, with the command to run; a Postgres that does not answer is an outage of each
 * request.
 * @param program as its messages begin.
 */
export async function isSchemaFit(db: Database, program: string, log: Log): Promise<boolean> {
  try {
    await requireSchema(db)
    return true
  } catch (cause) {
    const detail = describeDatabaseError(cause)
    if (isSchemaMisfit(cause)) process.stderr.write(`${program}: ${detail}\n`)
    else log.write('warn', 'dependency_failed', { dependency: 'database', detail })
    return !isSchemaMisfit(cause)
  }
}
