import { expect, test } from 'vitest'
import { Containers } from './containers.ts'

test('where no engine answers there are none, and nothing is to be stopped', async () => {
  const { PATH } = process.env
  process.env['PATH'] = '/nowhere'
  const containers = new Containers()
  expect(await containers.addresses()).toBeNull()
  await containers.stop()
  process.env['PATH'] = PATH
})
