/** The requests that go as kafkajs encodes and decodes them, and what comes back: error codes are left for us to read. */

type Answer = { readonly errorCode: number }
/** Int64 come as text, or as bigint, and are taken as either. */
type Int64 = string | bigint | number

export type Apis = {
  Metadata: {
    /** None: all topics. */
    request: { topics: readonly string[]; allowAutoTopicCreation: false }
    response: {
      readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[]
      readonly controllerId: number
      readonly topicMetadata: readonly {
        readonly topicErrorCode: number
        readonly topic: string
        readonly partitionMetadata: readonly {
          readonly partitionErrorCode: number
          readonly partitionId: number
          readonly leader: number
          readonly replicas: readonly number[]
        }[]
      }[]
    }
  }
  ListOffsets: {
    request: {
      replicaId: -1
      isolationLevel: 0 | 1
      topics: readonly { topic: string; partitions: readonly { partition: number; timestamp: number }[] }[]
    }
    response: {
      readonly responses: readonly {
        readonly topic: string
        readonly partitions: readonly (Answer & { readonly partition: number; readonly offset: Int64 })[]
      }[]
    }
  }
  GroupCoordinator: {
    /** groupId is the transactional id where the type is 1, of a transaction; 0: of a group. */
    request: { groupId: string; coordinatorType: 0 | 1 }
    response: Answer & {
      readonly coordinator: { readonly nodeId: number; readonly host: string; readonly port: number }
    }
  }
  InitProducerId: {
    request: { transactionalId: string | null; transactionTimeout: number }
    response: Answer & { readonly producerId: Int64; readonly producerEpoch: number }
  }
  AddPartitionsToTxn: {
    request: {
      transactionalId: string
      producerId: Int64
      producerEpoch: number
      topics: readonly { topic: string; partitions: readonly number[] }[]
    }
    response: {
      readonly errors: readonly {
        readonly topic: string
        readonly partitionErrors: readonly (Answer & { readonly partition: number })[]
      }[]
    }
  }
  EndTxn: {
    request: { transactionalId: string; producerId: Int64; producerEpoch: number; transactionResult: boolean }
    response: Answer
  }
  CreateTopics: {
    request: {
      topics: readonly {
        topic: string
        numPartitions: number
        replicationFactor: number
        configEntries: readonly { name: string; value: string }[]
      }[]
      timeout: number
    }
    response: {
      readonly topicErrors: readonly (Answer & { readonly topic: string; readonly errorMessage: string | null })[]
    }
  }
  DeleteTopics: {
    request: { topics: readonly string[]; timeout: number }
    response: { readonly topicErrors: readonly (Answer & { readonly topic: string })[] }
  }
  DescribeConfigs: {
    request: { resources: readonly { type: number; name: string; configNames: readonly string[] }[] }
    response: {
      readonly resources: readonly (Answer & {
        readonly resourceName: string
        readonly configEntries: readonly { readonly configName: string; readonly configValue: string }[]
      })[]
    }
  }
  JoinGroup: {
    request: {
      groupId: string
      sessionTimeout: number
      rebalanceTimeout: number
      /** Empty at first: the answer is MEMBER_ID_REQUIRED, with the id to come back with. */
      memberId: string
      groupInstanceId?: string | null
      protocolType: string
      groupProtocols: readonly { name: string; metadata: Buffer }[]
    }
    response: Answer & {
      readonly generationId: number
      readonly groupProtocol: string
      readonly leaderId: string
      readonly memberId: string
      /** Filled for the leader only. */
      readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[]
    }
  }
  SyncGroup: {
    request: {
      groupId: string
      generationId: number
      memberId: string
      groupInstanceId?: string | null
      groupAssignment: readonly { memberId: string; memberAssignment: Buffer }[]
    }
    response: Answer & { readonly memberAssignment: Buffer }
  }
  Heartbeat: {
    request: { groupId: string; groupGenerationId: number; memberId: string; groupInstanceId: string | null }
    response: Answer
  }
  OffsetCommit: {
    request: {
      groupId: string
      groupGenerationId: number
      memberId: string
      topics: readonly { topic: string; partitions: readonly { partition: number; offset: Int64 }[] }[]
    }
    response: {
      readonly responses: readonly { readonly topic: string; readonly partitions: readonly Answer[] }[]
    }
  }
  DescribeGroups: {
    request: { groupIds: readonly string[] }
    response: {
      readonly groups: readonly (Answer & {
        readonly members: readonly { readonly clientId: string; readonly clientHost: string }[]
      })[]
    }
  }
  LeaveGroup: {
    request: { groupId: string; memberId: string; groupInstanceId: string | null }
    response: Answer
  }
}
