/** What tests of sources share: an origin, and collector payloads as Snowplow's collectors write them. */
import { noRequest, type Origin } from './raw-event.ts'

export const originOf = (parts: Partial<Origin> = {}): Origin => ({
  tenant: 'shop',
  source: 'test',
  payloadId: 'payload',
  collectorTstampMs: 1_700_000_000_000,
  ...noRequest,
  ...parts,
})

/** Type, id and bytes of a field. */
export type ThriftField = readonly [type: number, id: number, value: Buffer]

export type Payload = {
  readonly [Name in keyof typeof fieldIds]?:
    | (Name extends 'timestamp' ? number : Name extends 'headers' ? readonly string[] : string)
    | undefined
}

/** A field's id in the library which collectors are built with, and in the IDL which Iglu Central has. */
const fieldIds = {
  schema: { library: 31337, idl: 31337 },
  querystring: { library: 330, idl: 10 },
  collector: { library: 220, idl: 20 },
  encoding: { library: 210, idl: 30 },
  hostname: { library: 400, idl: 40 },
  timestamp: { library: 200, idl: 50 },
  ipAddress: { library: 100, idl: 60 },
  userAgent: { library: 300, idl: 70 },
  refererUri: { library: 310, idl: 80 },
  headers: { library: 350, idl: 90 },
  networkUserId: { library: 410, idl: 100 },
  path: { library: 320, idl: 110 },
  contentType: { library: 360, idl: 120 },
  body: { library: 340, idl: 130 },
} as const

/** A CollectorPayload in Thrift's binary protocol. */
export function collectorPayload(payload: Payload, numbering: 'library' | 'idl' = 'library'): Buffer {
  const schema = 'iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-0'
  const fields = Object.entries({ schema, ...payload }).flatMap(([name, value]): Buffer[] => {
    if (value === undefined) return []
    const id = fieldIds[name as keyof typeof fieldIds][numbering]
    if (typeof value === 'number') {
      const time = Buffer.alloc(8)
      time.writeBigInt64BE(BigInt(value))
      return [headOf(10, id), time]
    }
    if (typeof value === 'string') return [headOf(11, id), textOf(value)]
    return [headOf(15, id), Buffer.from([11]), int32(value.length), ...value.map(textOf)]
  })
  return Buffer.concat([...fields, Buffer.from([0])])
}

/** As `kcat -f '%R%s'` writes them. */
export const framed = (values: readonly Buffer[]): Buffer =>
  Buffer.concat(values.flatMap((value) => [int32(value.length), value]))

const headOf = (type: number, id: number): Buffer => Buffer.from([type, id >> 8, id & 255])
const textOf = (text: string): Buffer => Buffer.concat([int32(Buffer.byteLength(text)), Buffer.from(text)])

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
