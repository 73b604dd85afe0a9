/** Database users as operators make them: login roles that are members of a group role. */

import { randomBytes } from 'node:crypto'
import postgres from 'postgres'

export interface LoginOptions {
  /** Group roles. */
  readonly memberOf?: readonly string[]
  /** Such as `createrole`. */
  readonly attributes?: string
}

/** @param administratorUrl of a superuser, in the database to log in to. @returns the new user's URL, and its name. */
export async function createLogin(
  administratorUrl: string,
  { memberOf = [], attributes = '' }: LoginOptions = {},
): Promise<{ readonly url: string; readonly name: string }> {
  const name = `login_${randomBytes(6).toString('hex')}`
  const password = randomBytes(12).toString('hex')
  const sql = postgres(administratorUrl, { max: 1, onnotice: () => undefined })
  try {
    await sql.unsafe(`create role ${name} login password '${password}' ${attributes}`)
    for (const group of memberOf) await sql.unsafe(`grant "${group}" to ${name}`)
  } finally {
    await sql.end()
  }
  const url = new URL(administratorUrl)
  url.username = name
  url.password = password
  return { url: url.href, name }
}
