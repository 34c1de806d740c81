/** Options that several commands share, and how their values are read. */
import { InvalidArgumentError, Option } from 'commander'
import { exampleWorkspace } from './package.ts'

/** A whole number between two bounds, both included. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`)
  }
}

export const dataOption = (): Option => new Option('--data <folder>', 'where everything is kept').default('.millrace')

export const workspaceOption = (): Option =>
  new Option('--workspace <folder>', 'identity, traits, segments, destinations').default(
    exampleWorkspace,
    'the example, examples/retail',
  )
