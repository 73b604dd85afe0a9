/** `DATABASE_URL`, as every process that opens the token store reads it. Opens nothing. */

import { readRequiredText, type Environment } from '../environment.ts'
import { isDatabaseUrl } from './database.ts'

/** @returns '' or a useless value with a problem where it is missing or bad. */
export function readDatabaseUrl(env: Environment, problems: string[]): string {
  const url = readRequiredText(env, 'DATABASE_URL', problems)
  if (url !== '' && !isDatabaseUrl(url)) {
    problems.push('DATABASE_URL must be a postgres:// URL that the driver understands')
  }
  return url
}
