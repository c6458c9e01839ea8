resource "aws_dynamodb_table" "orders" {
  name             = "orders"
  billing_mode     = "PAY_PER_REQUEST"
  hash_key         = "id"
  stream_enabled   = true
  stream_view_type = "NEW_IMAGE"

  attribute {
    name = "id"
    type = "S"
  }
}

resource "aws_lambda_function" "note" {
  function_name = "note"
  filename      = "note.zip"
  handler       = "index.handler"
  runtime       = "nodejs22.x"
  role          = "arn:aws:iam::000000000000:role/note"
}

resource "aws_lambda_event_source_mapping" "note" {
  function_name     = aws_lambda_function.note.arn
  event_source_arn  = aws_dynamodb_table.orders.stream_arn
  starting_position = "TRIM_HORIZON"
}
