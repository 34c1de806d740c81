/** Where the package is, and what it says of itself. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder that holds package.json: above this module in the source tree as in the build. */
export const packageFolder: string = (() => {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
})()

export const packageVersion: string = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')).version

export const exampleWorkspace = join(packageFolder, 'examples', 'retail')
