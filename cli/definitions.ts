/** Definitions as what runs tasks reads them: with the registries that a workspace names to ask for further schemas. */

import { apiKeyOf } from '../registries/repository.ts'
import { Resolver } from '../registries/resolver.ts'
import type { Codec } from '../runtime/codec.ts'
import { DefinitionReader } from '../runtime/definitions.ts'
import type { Log } from '../runtime/log.ts'
import { definitionsFrom, type Manifest, manifestOf, refreshOf } from '../workspace/manifest.ts'
import type { Workspace } from '../workspace/workspace.ts'

/** CONFIG_INVALID when the key of a registry is not in the environment. */
export function openDefinitions(log: Log, codec: Codec, workspace: Workspace, tenantKey: Uint8Array): DefinitionReader {
  const { env } = process
  for (const repository of workspace.iglu.registries?.repositories ?? []) apiKeyOf(repository, env)
  const resolver = new Resolver({ workspaceFolder: workspace.folder, env, nowMs: Date.now })
  return new DefinitionReader(
    log,
    codec,
    (manifest, bodies, outside) => definitionsFrom([manifest, ...bodies], tenantKey, { outside }),
    (questions) => resolver.ask(questions),
  )
}

/** The workspace's manifest, with its registries asked anew as often as the one in force says, and once more to `refresh` them. */
export async function nextManifest(reader: DefinitionReader, workspace: Workspace, refresh = false): Promise<Manifest> {
  const refreshed = refreshOf(await reader.inForce(workspace.tenant, 'iglu', 'iglu'))
  return manifestOf(workspace, { refresh: refreshed + (refresh ? 1 : 0) })
}
