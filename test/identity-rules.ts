/** A shop's identity rules, for tests. */
import { type Definitions, defaultEnrichments, type IdentityRules, type NamespaceRule } from '../schemas/definitions.ts'

const rule = (
  namespace: string,
  parts: Pick<NamespaceRule, 'class' | 'priority'> & Partial<NamespaceRule>,
): NamespaceRule => ({
  namespace,
  unique: false,
  normalise: 'trim',
  from: [{ in: 'column', name: namespace }],
  ...parts,
})

export const shopIdentity: IdentityRules = {
  namespaces: [
    rule('user_id', {
      class: 'person',
      priority: 1,
      unique: true,
      from: [
        { in: 'column', name: 'user_id' },
        { in: 'event', path: ['user_id'] },
      ],
    }),
    rule('email', { class: 'person', priority: 3, normalise: 'trim_lower', from: [{ in: 'event', path: ['email'] }] }),
    rule('phone', { class: 'person', priority: 4, normalise: 'e164', from: [{ in: 'event', path: ['phone'] }] }),
    rule('domain_userid', { class: 'cookie', priority: 7 }),
    rule('network_userid', { class: 'cookie', priority: 8 }),
  ],
  blocked: ['Kiosk-1'],
  ruleVersion: 'rules-1',
}

export function shopDefinitions(identity: IdentityRules = shopIdentity): Definitions {
  return {
    tenant: 'shop',
    version: 1,
    hash: 'h1',
    tenantKey: Buffer.from('the secret of the shop'),
    schemas: new Map(),
    identity,
    traits: [],
    segments: [],
    destinations: [],
    consent: { purposes: [], signals: [] },
    enrichments: defaultEnrichments,
    secrets: new Map(),
  }
}
