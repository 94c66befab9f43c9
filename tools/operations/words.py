"""What the service models do not say: one sentence per operation and error, and what differs on Alternator.

Rules: the sentences are our own, not the model's documentation; the overlay holds facts about Alternator and the wire
protocol and nothing else; an operation or an error without a sentence stops the generator, which names it.
"""

from __future__ import annotations

OPERATIONS = {
    "BatchExecuteStatement": "run several PartiQL statements in one request, each on its own.",
    "BatchGetItem": "read many items by their keys, from one or several tables, in one request.",
    "BatchWriteItem": "put and delete many items, in one or several tables, in one request, not one transaction.",
    "CreateBackup": "start an on-demand backup of a table.",
    "CreateGlobalTable": "join tables of one name in several regions to a global table (its 2017 form).",
    "CreateTable": "create a table with its key schema, indexes, stream settings and tags.",
    "DeleteBackup": "remove a backup.",
    "DeleteItem": "remove one item by its key, under a condition if one is given.",
    "DeleteResourcePolicy": "take the access policy off a table or a stream.",
    "DeleteTable": "remove a table with everything in it.",
    "DescribeBackup": "tell what a backup holds and how far it is.",
    "DescribeContinuousBackups": "tell whether continuous backups and point-in-time recovery are on for a table.",
    "DescribeContributorInsights": "tell how contributor insights are set for a table or an index.",
    "DescribeEndpoints": "tell the address to use for further requests.",
    "DescribeExport": "tell how an export of a table went.",
    "DescribeGlobalTable": "tell in which regions a global table lives (its 2017 form).",
    "DescribeGlobalTableSettings": "tell the settings of a global table, region by region (its 2017 form).",
    "DescribeImport": "tell how an import into a new table went.",
    "DescribeKinesisStreamingDestination": "tell to which Kinesis streams the changes of a table go.",
    "DescribeLimits": "tell the account's limits of provisioned capacity.",
    "DescribeStream": "tell the status of a table's stream and list its shards, page by page.",
    "DescribeTable": "tell a table's schema, status, indexes and size.",
    "DescribeTableReplicaAutoScaling": "tell the automatic scaling of a global table's replicas.",
    "DescribeTimeToLive": "tell whether items of a table expire, and by which attribute.",
    "DisableKinesisStreamingDestination": "stop sending the changes of a table to a Kinesis stream.",
    "EnableKinesisStreamingDestination": "send the changes of a table to a Kinesis stream.",
    "ExecuteStatement": "run one PartiQL statement.",
    "ExecuteTransaction": "run several PartiQL statements as one transaction.",
    "ExportTableToPointInTime": "write a table, as it was at a point in time, to a bucket.",
    "GetItem": "read one item by its key.",
    "GetRecords": "read the next change records of a stream's shard; an empty page is normal.",
    "GetResourcePolicy": "read the access policy of a table or a stream.",
    "GetShardIterator": "get the position in a stream's shard from which get_records reads.",
    "ImportTable": "create a table from the objects in a bucket.",
    "ListBackups": "list the backups, page by page.",
    "ListContributorInsights": "list where contributor insights are set, page by page.",
    "ListExports": "list the exports of the last days, page by page.",
    "ListGlobalTables": "list the global tables, page by page (their 2017 form).",
    "ListImports": "list the imports of the last days, page by page.",
    "ListStreams": "list the streams of all tables or of one, page by page.",
    "ListTables": "list the names of the tables, page by page.",
    "ListTagsOfResource": "list the tags of a table, given by its ARN.",
    "PutItem": "write one whole item, replacing what has its key, under a condition if one is given.",
    "PutResourcePolicy": "set the access policy of a table or a stream.",
    "Query": "read the items of one partition in the order of their sort keys, page by page.",
    "RestoreTableFromBackup": "create a table from a backup.",
    "RestoreTableToPointInTime": "create a table from another one as it was at a point in time.",
    "Scan": "read all items of a table or an index, or one segment of them, page by page.",
    "SearchVectors": "find the items nearest to a vector (Alternator has a vector search of its own, in query).",
    "TagResource": "set tags of a table, given by its ARN; its write isolation is such a tag on Alternator.",
    "TransactGetItems": "read several items as one transaction.",
    "TransactWriteItems": "write several items, each under its condition, as one transaction.",
    "UntagResource": "take tags off a table, given by its ARN.",
    "UpdateContinuousBackups": "switch point-in-time recovery of a table on or off.",
    "UpdateContributorInsights": "switch contributor insights of a table or an index on or off.",
    "UpdateGlobalTable": "add regions to a global table or take some away (its 2017 form).",
    "UpdateGlobalTableSettings": "change the capacity of a global table (its 2017 form).",
    "UpdateItem": "change attributes of one item, creating it if need be, under a condition if one is given.",
    "UpdateKinesisStreamingDestination": "change how the changes of a table go to a Kinesis stream.",
    "UpdateTable": "change a table's capacity, indexes or stream settings.",
    "UpdateTableReplicaAutoScaling": "change the automatic scaling of a global table's replicas.",
    "UpdateTimeToLive": "switch the expiry of items on or off and name the attribute that holds its time.",
}

SUPPORTED_BY_ALTERNATOR = frozenset({
    "BatchGetItem", "BatchWriteItem", "CreateTable", "DeleteItem", "DeleteTable", "DescribeContinuousBackups",
    "DescribeEndpoints", "DescribeStream", "DescribeTable", "DescribeTimeToLive", "GetItem", "GetRecords",
    "GetShardIterator", "ListStreams", "ListTables", "ListTagsOfResource", "PutItem", "Query", "Scan", "TagResource",
    "UntagResource", "UpdateItem", "UpdateTable", "UpdateTimeToLive",
})  # fmt: skip

ERRORS = {
    "BackupInUseException": "Another backup or restore of the same table or backup is going on.",
    "BackupNotFoundException": "No backup has that ARN.",
    "ConditionalCheckFailedException": "The condition was false and nothing was written; ``response`` has the item if "
    "it was asked for.",
    "ContinuousBackupsUnavailableException": "The table has no continuous backups yet.",
    "DuplicateItemException": "An item with that key is there already (PartiQL's INSERT).",
    "ExpiredIteratorException": "The shard iterator is too old; get a new one.",
    "ExportConflictException": "An export with that client token runs already, with other settings.",
    "ExportNotFoundException": "No export has that ARN.",
    "GlobalTableAlreadyExistsException": "A global table of that name is there already.",
    "GlobalTableNotFoundException": "No global table has that name.",
    "IdempotentParameterMismatchException": "The client token was used before, with other parameters.",
    "ImportConflictException": "An import with that client token runs already, with other settings.",
    "ImportNotFoundException": "No import has that ARN.",
    "IndexNotFoundException": "The table has no index of that name.",
    "InternalServerError": "The server failed while it worked on the request; a write may have happened.",
    "InvalidExportTimeException": "The time lies outside what can be exported.",
    "InvalidRestoreTimeException": "The time lies outside what can be restored.",
    "ItemCollectionSizeLimitExceededException": "The items under one partition key have outgrown the limit.",
    "LimitExceededException": "Too many operations of that kind at once, or too many of what they make.",
    "PointInTimeRecoveryUnavailableException": "Point-in-time recovery is off for the table.",
    "PolicyNotFoundException": "The resource has no policy, or not the revision that was expected.",
    "ProvisionedThroughputExceededException": "More was asked of a table or a partition than its capacity allows.",
    "ReplicaAlreadyExistsException": "The global table has a replica in that region already.",
    "ReplicaNotFoundException": "The global table has no replica in that region.",
    "ReplicatedWriteConflictException": "Another region writes the same item at this moment.",
    "RequestLimitExceeded": "The node sheds load: the request was not executed.",
    "ResourceInUseException": "The table is there already, or is being changed.",
    "ResourceNotFoundException": "No such table, index, stream or other resource, or it is not active yet.",
    "TableAlreadyExistsException": "The table to restore or to import into is there already.",
    "TableInUseException": "The table is being created, changed or deleted.",
    "TableNotFoundException": "The source table is not there.",
    "ThrottlingException": "Requests of that kind come too fast.",
    "TransactionCanceledException": "The transaction was refused as a whole; ``response`` has a reason for each item.",
    "TransactionConflictException": "Another transaction works on the same item at this moment.",
    "TransactionInProgressException": "A transaction with that client token is still going on.",
    "TrimmedDataAccessException": "The records at that position of the stream are gone.",
}

# Names that servers send and no operation of the model lists: those of the protocol's front and of its signature
# check, Alternator's own, and the general ones of the JSON protocol.
FURTHER_ERRORS = {
    "AccessDeniedException": "The role may not do that.",
    "ExpiredTokenException": "The session token of temporary credentials is too old.",
    "IncompleteSignatureException": "The Authorization header lacks a part, or is written wrongly.",
    "InternalFailure": "The server failed for a reason that it does not know; a write may have happened.",
    "InvalidSignatureException": "The signature does not match the request, or its time is too far from the server's.",
    "MissingAuthenticationTokenException": "The server wants signed requests; this one had no Authorization header.",
    "PayloadTooLarge": "The request is larger than the server takes: 16 MiB on Alternator, also after decompression.",
    "SerializationException": "The server cannot read the request's JSON, or a value has the wrong type.",
    "ServiceUnavailable": "The server cannot answer now.",
    "ServiceUnavailableException": "The server cannot answer now.",
    "UnknownOperationException": "The server does not have that operation.",
    "UnrecognizedClientException": "The server does not know the key id, or its secret is another one.",
    "ValidationException": "The request is well-formed JSON but not a valid request; the message says why.",
}

# A few structures are met by everybody; the others' sentence says only where they belong.
STRUCTURES = {
    "AttributeDefinition": "An attribute that is part of a key, and its type: S, N or B.",
    "AttributeValue": "A typed value: exactly one member, named by its type; numbers are strings, binaries are bytes.",
    "KeySchemaElement": "A key attribute and its part: HASH for the partition key, RANGE for the sort key.",
    "Record": "A change record of a stream.",
    "TableDescription": "What the server says of a table; times are seconds since 1970, sizes are bytes.",
}

# Alternator's vector indexes share their member names with Amazon's and nothing else, so their shapes stay open.
OPEN_STRUCTURES = frozenset({"VectorIndex", "VectorIndexDescription", "VectorIndexUpdate"})

# Members that the models lack, and their types. FLOAT32VECTOR holds JSON numbers; Scores runs beside Items.
FURTHER_MEMBERS = {
    "AttributeValue": {"FLOAT32VECTOR": "Sequence[float]"},
    "QueryInput": {"VectorSearch": "Mapping[str, object]"},
    "QueryOutput": {"Scores": "list[float]"},
}

# The models promise next to nothing about answers. These members are in every successful one, so that type checkers
# let callers index them (Items is missing only from answers to Select="COUNT", which nobody asks in order to read it).
ALWAYS_ANSWERED = {
    "BatchGetItemOutput": ("Responses", "UnprocessedKeys"),
    "BatchWriteItemOutput": ("UnprocessedItems",),
    "CreateTableOutput": ("TableDescription",),
    "DeleteTableOutput": ("TableDescription",),
    "DescribeStreamOutput": ("StreamDescription",),
    "DescribeTableOutput": ("Table",),
    "DescribeTimeToLiveOutput": ("TimeToLiveDescription",),
    "GetRecordsOutput": ("Records",),
    "GetShardIteratorOutput": ("ShardIterator",),
    "ListStreamsOutput": ("Streams",),
    "ListTablesOutput": ("TableNames",),
    "ListTagsOfResourceOutput": ("Tags",),
    "QueryOutput": ("Count", "Items", "ScannedCount"),
    "ScanOutput": ("Count", "Items", "ScannedCount"),
    "TableDescription": ("TableName", "TableStatus"),
    "UpdateTableOutput": ("TableDescription",),
    "UpdateTimeToLiveOutput": ("TimeToLiveSpecification",),
}
