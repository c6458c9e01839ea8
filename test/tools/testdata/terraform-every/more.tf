resource "aws_lambda_layer_version_permission" "lib" {
  layer_name     = aws_lambda_layer_version.lib.layer_name
  version_number = aws_lambda_layer_version.lib.version
  principal      = "123456789012"
  action         = "lambda:GetLayerVersion"
  statement_id   = "other"
}
resource "aws_lambda_invocation" "once" {
  function_name = aws_lambda_function.stored.function_name
  input         = jsonencode({ Records = [] })
}
resource "aws_lambda_runtime_management_config" "note" {
  function_name     = aws_lambda_function.note.function_name
  update_runtime_on = local.two ? "FunctionUpdate" : "Auto"
}
resource "aws_lambda_function_recursion_config" "note" {
  function_name  = aws_lambda_function.note.function_name
  recursive_loop = local.two ? "Terminate" : "Allow"
}
resource "aws_s3_bucket" "other" {
  bucket_prefix = "other-"
}
resource "aws_s3_bucket_cors_configuration" "other" {
  bucket = aws_s3_bucket.other.id
  cors_rule {
    allowed_methods = local.two ? ["GET", "PUT"] : ["GET"]
    allowed_origins = ["*"]
  }
}
resource "aws_s3_bucket_acl" "other" {
  bucket     = aws_s3_bucket.other.id
  acl        = "private"
  depends_on = [aws_s3_bucket_ownership_controls.other]
}
resource "aws_s3_bucket_ownership_controls" "other" {
  bucket = aws_s3_bucket.other.id
  rule { object_ownership = "BucketOwnerPreferred" }
}
resource "aws_s3_bucket_website_configuration" "other" {
  bucket = aws_s3_bucket.other.id
  index_document { suffix = local.two ? "two.html" : "index.html" }
}
resource "aws_s3_object" "text" {
  bucket        = aws_s3_bucket.other.id
  key           = "a/b.txt"
  content       = "hello ${var.v}"
  content_type  = "text/plain"
  metadata      = { who = "me" }
  cache_control = "no-cache"
}
resource "aws_s3_object_copy" "copy" {
  bucket = aws_s3_bucket.other.id
  key    = "a/c.txt"
  source = "${aws_s3_bucket.other.id}/${aws_s3_object.text.key}"
}
resource "aws_sqs_queue" "named" {
  name_prefix             = "named-"
  sqs_managed_sse_enabled = local.two
  max_message_size        = local.two ? 2048 : 4096
}
resource "aws_sqs_queue_redrive_policy" "named" {
  queue_url      = aws_sqs_queue.named.id
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead2.arn, maxReceiveCount = local.two ? 4 : 2 })
}
resource "aws_sqs_queue" "dead2" {
  name_prefix = "dead2-"
}
resource "aws_dynamodb_table" "local" {
  name         = "local"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"
  table_class  = local.two ? "STANDARD_INFREQUENT_ACCESS" : "STANDARD"
  attribute {
    name = "pk"
    type = "S"
  }
  attribute {
    name = "sk"
    type = "S"
  }
  attribute {
    name = "lsi"
    type = "B"
  }
  local_secondary_index {
    name               = "lsi"
    range_key          = "lsi"
    projection_type    = "INCLUDE"
    non_key_attributes = ["a", "b"]
  }
  on_demand_throughput {
    max_read_request_units  = local.two ? 20 : 10
    max_write_request_units = 10
  }
  deletion_protection_enabled = false
}
resource "aws_iam_role" "inline" {
  name_prefix        = "inline-"
  assume_role_policy = data.aws_iam_policy_document.trust.json
  inline_policy {
    name   = "own"
    policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "s3:*", Resource = "*" }] })
  }
  managed_policy_arns = ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"]
}
resource "aws_cloudwatch_log_group" "own" {
  name_prefix = "/own/"
}
resource "aws_scheduler_schedule" "sqs" {
  name_prefix         = "s-"
  schedule_expression = "at(2030-01-01T00:00:00)"
  start_date          = "2029-01-01T00:00:00Z"
  end_date            = "2031-01-01T00:00:00Z"
  flexible_time_window { mode = "OFF" }
  target {
    arn      = aws_sqs_queue.ordered.arn
    role_arn = aws_iam_role.note.arn
    sqs_parameters { message_group_id = "g" }
  }
}
