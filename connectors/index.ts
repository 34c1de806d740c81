/** The connectors there are: from a destination's definition to what delivers to it. */
import { MillraceError } from '../runtime/errors.ts'
import type { DestinationDefinition } from '../schemas/definitions.ts'
import type { Connector } from './connector.ts'
import { createFileConnector } from './file/file.ts'
import { parseWebhookSettings } from './webhook/settings.ts'
import { createWebhookConnector } from './webhook/webhook.ts'

export type ConnectorPlace = {
  /** File destinations write beneath it. */
  readonly folder: string
  /** Where secrets are looked up by name. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/** CONFIG_INVALID when the destination's settings do not hold, or a secret is not there. */
export function createConnector(
  { id, type, settings }: DestinationDefinition,
  { folder, env }: ConnectorPlace,
): Connector {
  switch (type) {
    case 'file':
      if (Object.keys(settings).length > 0) {
        throw new MillraceError('CONFIG_INVALID', `destination ${id}: settings: a file destination has none`)
      }
      return createFileConnector({ id, folder })
    case 'webhook':
      return createWebhookConnector({ id, settings: parseWebhookSettings(id, settings, env) })
  }
}
