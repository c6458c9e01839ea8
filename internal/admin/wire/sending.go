package wire

// SendingTarget is the X-Amz-Target of TransactWriteItems with one member more, SendMessages: a list in the form of SendMessage requests to queues of the
// server's own. The messages are sent in one commit with the items, or not at all. It is for nodes (serve --tables); what speaks AWS's protocol alone never
// names it, and a server of an earlier release answers that it does not know the operation.
const SendingTarget = "DynamoDBMillstream_20261130.TransactWriteItems"

// MessagesRefused is the code of its error about a message that cannot be sent: SQS's code and text are the error's text.
const MessagesRefused = "MessagesRefusedException"
