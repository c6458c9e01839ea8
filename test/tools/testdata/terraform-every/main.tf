# Every resource that docs/start/terraform.md names, with most of its arguments. With v = 2 what can be changed in place is another.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "v" {
  type    = number
  default = 1
}

locals {
  two  = var.v == 2
  tags = local.two ? { team = "web", more = "y" } : { team = "shop" }
}

provider "aws" {
  s3_use_path_style = true
  default_tags {
    tags = { from = "terraform" }
  }
}

data "aws_caller_identity" "me" {}
data "aws_region" "here" {}
data "aws_partition" "p" {}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "note" {
  name               = "note"
  description        = local.two ? "two" : "one"
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = local.tags
}

resource "aws_iam_role_policy" "note" {
  name = "note"
  role = aws_iam_role.note.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = local.two ? ["dynamodb:*"] : ["dynamodb:GetItem"], Resource = "*" }]
  })
}

resource "aws_iam_policy" "own" {
  name = "own"
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = local.two ? ["sqs:*"] : ["sqs:SendMessage"], Resource = "*" }]
  })
  tags = local.tags
}

resource "aws_iam_role_policy_attachment" "own" {
  role       = aws_iam_role.note.name
  policy_arn = aws_iam_policy.own.arn
}

resource "aws_iam_role_policy_attachment" "basic" {
  role       = aws_iam_role.note.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_dynamodb_table" "orders" {
  name                        = "orders"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "id"
  range_key                   = "at"
  stream_enabled              = true
  stream_view_type            = "NEW_AND_OLD_IMAGES"
  deletion_protection_enabled = false
  attribute {
    name = "id"
    type = "S"
  }
  attribute {
    name = "at"
    type = "N"
  }
  attribute {
    name = "who"
    type = "S"
  }
  global_secondary_index {
    name            = local.two ? "by-who-2" : "by-who"
    hash_key        = "who"
    projection_type = "ALL"
  }
  ttl {
    attribute_name = "expires"
    enabled        = !local.two
  }
  server_side_encryption {
    enabled = true
  }
  tags = local.tags
}

resource "aws_dynamodb_table" "counted" {
  name           = "counted"
  billing_mode   = local.two ? "PAY_PER_REQUEST" : "PROVISIONED"
  read_capacity  = local.two ? null : 5
  write_capacity = local.two ? null : 5
  hash_key       = "id"
  attribute {
    name = "id"
    type = "S"
  }
}

resource "aws_dynamodb_table_item" "first" {
  table_name = aws_dynamodb_table.counted.name
  hash_key   = "id"
  item       = jsonencode({ id = { S = "first" }, n = { N = local.two ? "2" : "1" } })
}

resource "aws_dynamodb_resource_policy" "orders" {
  resource_arn = aws_dynamodb_table.orders.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow", Principal = { AWS = data.aws_caller_identity.me.account_id }
      Action   = local.two ? ["dynamodb:Query"] : ["dynamodb:GetItem"]
      Resource = aws_dynamodb_table.orders.arn
    }]
  })
}

resource "aws_s3_bucket" "files" {
  bucket        = "shop-files"
  force_destroy = true
  tags          = local.tags
}

resource "aws_s3_bucket_versioning" "files" {
  bucket = aws_s3_bucket.files.id
  versioning_configuration {
    status = local.two ? "Suspended" : "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "files" {
  bucket                  = aws_s3_bucket.files.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = !local.two
}

resource "aws_s3_bucket_server_side_encryption_configuration" "files" {
  bucket = aws_s3_bucket.files.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = local.two ? "aws:kms" : "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "files" {
  bucket = aws_s3_bucket.files.id
  rule {
    id     = "old"
    status = "Enabled"
    filter { prefix = "tmp/" }
    expiration { days = local.two ? 9 : 7 }
  }
}

resource "aws_s3_bucket_ownership_controls" "files" {
  bucket = aws_s3_bucket.files.id
  rule { object_ownership = "BucketOwnerEnforced" }
}

resource "aws_s3_bucket_policy" "files" {
  bucket = aws_s3_bucket.files.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Deny", Principal = "*", Action = local.two ? "s3:PutObject" : "s3:GetObject", Resource = "${aws_s3_bucket.files.arn}/secret/*" }]
  })
}

resource "aws_s3_object" "code" {
  bucket = aws_s3_bucket.files.id
  key    = "code/note.zip"
  source = "note${var.v}.zip"
  etag   = filemd5("note${var.v}.zip")
  tags   = local.tags
}

resource "aws_lambda_layer_version" "lib" {
  layer_name          = "lib"
  filename            = "layer${var.v}.zip"
  source_code_hash    = filebase64sha256("layer${var.v}.zip")
  compatible_runtimes = ["nodejs22.x"]
  description         = "a layer"
  license_info        = "MIT"
}

resource "aws_cloudwatch_log_group" "note" {
  name              = "/aws/lambda/note"
  retention_in_days = local.two ? 14 : 7
  tags              = local.tags
}

resource "aws_lambda_function" "note" {
  function_name    = "note"
  role             = aws_iam_role.note.arn
  runtime          = "nodejs22.x"
  handler          = "index.handler"
  filename         = "note${var.v}.zip"
  source_code_hash = filebase64sha256("note${var.v}.zip")
  layers           = [aws_lambda_layer_version.lib.arn]
  timeout          = local.two ? 20 : 10
  memory_size      = local.two ? 256 : 128
  publish          = true
  architectures    = ["x86_64"]
  environment {
    variables = local.two ? { AA = "2", BB = "x" } : { AA = "1" }
  }
  dead_letter_config {
    target_arn = aws_sqs_queue.dead.arn
  }
  tracing_config { mode = local.two ? "PassThrough" : "Active" }
  ephemeral_storage { size = local.two ? 1024 : 512 }
  logging_config {
    log_format            = "JSON"
    application_log_level = local.two ? "INFO" : "DEBUG"
    system_log_level      = "WARN"
  }
  reserved_concurrent_executions = local.two ? -1 : 5
  tags                           = local.tags
  depends_on                     = [aws_cloudwatch_log_group.note, aws_iam_role_policy.note]
}

resource "aws_lambda_function" "stored" {
  function_name    = "stored"
  role             = aws_iam_role.note.arn
  runtime          = "nodejs22.x"
  handler          = "index.handler"
  s3_bucket        = aws_s3_object.code.bucket
  s3_key           = aws_s3_object.code.key
  source_code_hash = filebase64sha256("note${var.v}.zip")
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = local.two ? "two" : "one"
  function_name    = aws_lambda_function.note.function_name
  function_version = aws_lambda_function.note.version
}

resource "aws_lambda_function_url" "open" {
  function_name      = aws_lambda_function.note.function_name
  authorization_type = "NONE"
  cors {
    allow_origins = local.two ? ["https://a.example"] : ["*"]
    allow_methods = ["GET"]
    max_age       = 60
  }
}

resource "aws_lambda_function_url" "closed" {
  function_name      = aws_lambda_function.note.function_name
  qualifier          = aws_lambda_alias.live.name
  authorization_type = local.two ? "NONE" : "AWS_IAM"
  invoke_mode        = local.two ? "RESPONSE_STREAM" : "BUFFERED"
}

resource "aws_lambda_function_event_invoke_config" "note" {
  function_name                = aws_lambda_function.note.function_name
  maximum_event_age_in_seconds = local.two ? 60 : 3600
  maximum_retry_attempts       = local.two ? 0 : 1
  destination_config {
    on_failure { destination = aws_sqs_queue.dead.arn }
    on_success { destination = aws_sns_topic.news.arn }
  }
}

resource "aws_lambda_provisioned_concurrency_config" "live" {
  function_name                     = aws_lambda_function.note.function_name
  qualifier                         = aws_lambda_alias.live.name
  provisioned_concurrent_executions = local.two ? 2 : 1
}

resource "aws_lambda_permission" "rule" {
  statement_id  = "rule"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.note.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.hourly.arn
}

resource "aws_lambda_permission" "topic" {
  statement_id  = "topic"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.note.function_name
  qualifier     = aws_lambda_alias.live.name
  principal     = "sns.amazonaws.com"
  source_arn    = aws_sns_topic.news.arn
}

resource "aws_lambda_event_source_mapping" "orders" {
  event_source_arn                   = aws_dynamodb_table.orders.stream_arn
  function_name                      = aws_lambda_function.note.arn
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = local.two ? 20 : 10
  maximum_batching_window_in_seconds = local.two ? 1 : 0
  maximum_retry_attempts             = 3
  maximum_record_age_in_seconds      = 3600
  bisect_batch_on_function_error     = local.two
  parallelization_factor             = local.two ? 2 : 1
  function_response_types            = ["ReportBatchItemFailures"]
  destination_config {
    on_failure { destination_arn = aws_sqs_queue.dead.arn }
  }
  dynamic "filter_criteria" {
    for_each = local.two ? [] : [1]
    content {
      filter { pattern = jsonencode({ eventName = ["INSERT"] }) }
    }
  }
  tags = local.tags
}

resource "aws_lambda_event_source_mapping" "jobs" {
  event_source_arn        = aws_sqs_queue.jobs.arn
  function_name           = aws_lambda_alias.live.arn
  batch_size              = local.two ? 5 : 10
  function_response_types = ["ReportBatchItemFailures"]
  enabled                 = !local.two
  scaling_config { maximum_concurrency = 2 }
}

resource "aws_sqs_queue" "dead" {
  name                      = "dead"
  message_retention_seconds = 1209600
}

resource "aws_sqs_queue" "jobs" {
  name                       = "jobs"
  delay_seconds              = local.two ? 3 : 0
  visibility_timeout_seconds = local.two ? 60 : 40
  receive_wait_time_seconds  = local.two ? 1 : 0
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = local.two ? 4 : 3
  })
  tags = local.tags
}

resource "aws_sqs_queue" "ordered" {
  name                        = "ordered.fifo"
  fifo_queue                  = true
  content_based_deduplication = local.two
  deduplication_scope         = "messageGroup"
  fifo_throughput_limit       = "perMessageGroupId"
}

resource "aws_sqs_queue_policy" "jobs" {
  queue_url = aws_sqs_queue.jobs.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Sid = "s", Effect = "Allow", Principal = "*", Action = "sqs:SendMessage", Resource = aws_sqs_queue.jobs.arn, Condition = { ArnEquals = { "aws:SourceArn" = aws_sns_topic.news.arn } } }]
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.jobs.arn]
  })
}

resource "aws_sns_topic" "news" {
  name         = "news"
  display_name = local.two ? "News two" : "News"
  tags         = local.tags
}

resource "aws_sns_topic" "ordered" {
  name                        = "ordered.fifo"
  fifo_topic                  = true
  content_based_deduplication = local.two
}

resource "aws_sns_topic_policy" "news" {
  arn = aws_sns_topic.news.arn
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Sid = local.two ? "t" : "s", Effect = "Allow", Principal = { Service = "events.amazonaws.com" }, Action = "sns:Publish", Resource = aws_sns_topic.news.arn }]
  })
}

resource "aws_sns_topic_subscription" "jobs" {
  topic_arn            = aws_sns_topic.news.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.jobs.arn
  raw_message_delivery = local.two
  filter_policy        = jsonencode({ kind = local.two ? ["b"] : ["a"] })
  redrive_policy       = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead.arn })
}

resource "aws_sns_topic_subscription" "note" {
  topic_arn           = aws_sns_topic.news.arn
  protocol            = "lambda"
  endpoint            = aws_lambda_function.note.arn
  filter_policy_scope = local.two ? "MessageBody" : null
  filter_policy       = local.two ? jsonencode({ a = ["b"] }) : null
}

resource "aws_cloudwatch_event_rule" "hourly" {
  name                = "hourly"
  description         = local.two ? "two" : "one"
  schedule_expression = local.two ? "rate(2 hours)" : "rate(1 hour)"
  state               = local.two ? "DISABLED" : "ENABLED"
  tags                = local.tags
}

resource "aws_cloudwatch_event_target" "note" {
  rule      = aws_cloudwatch_event_rule.hourly.name
  target_id = "note"
  arn       = aws_lambda_function.note.arn
  input     = jsonencode({ v = var.v })
  retry_policy {
    maximum_event_age_in_seconds = 600
    maximum_retry_attempts       = local.two ? 2 : 1
  }
  dead_letter_config { arn = aws_sqs_queue.dead.arn }
}

resource "aws_cloudwatch_event_target" "jobs" {
  rule = aws_cloudwatch_event_rule.hourly.name
  arn  = aws_sqs_queue.jobs.arn
}

resource "aws_scheduler_schedule_group" "g" {
  name = "g"
  tags = local.tags
}

resource "aws_scheduler_schedule" "daily" {
  name                         = "daily"
  group_name                   = aws_scheduler_schedule_group.g.name
  description                  = local.two ? "two" : "one"
  schedule_expression          = local.two ? "cron(0 8 * * ? *)" : "cron(0 7 * * ? *)"
  schedule_expression_timezone = "Europe/Berlin"
  state                        = local.two ? "DISABLED" : "ENABLED"
  flexible_time_window {
    mode                      = local.two ? "OFF" : "FLEXIBLE"
    maximum_window_in_minutes = local.two ? null : 5
  }
  target {
    arn      = aws_lambda_function.note.arn
    role_arn = aws_iam_role.note.arn
    input    = jsonencode({ v = var.v })
    retry_policy {
      maximum_event_age_in_seconds = 600
      maximum_retry_attempts       = 2
    }
    dead_letter_config { arn = aws_sqs_queue.dead.arn }
  }
}

resource "aws_scheduler_schedule" "plain" {
  name                = "plain"
  schedule_expression = "rate(1 days)"
  flexible_time_window { mode = "OFF" }
  target {
    arn      = aws_sqs_queue.jobs.arn
    role_arn = aws_iam_role.note.arn
  }
}

resource "aws_ssm_parameter" "url" {
  name        = "/shop/url"
  type        = "String"
  value       = local.two ? "http://two" : "http://one"
  description = local.two ? "two" : "one"
  tags        = local.tags
}

resource "aws_ssm_parameter" "secret" {
  name  = "/shop/secret"
  type  = "SecureString"
  value = local.two ? "s2" : "s1"
}

resource "aws_ssm_parameter" "list" {
  name  = "/shop/list"
  type  = "StringList"
  value = local.two ? "a,b,c" : "a,b"
}

data "aws_ssm_parameter" "url" {
  name = aws_ssm_parameter.url.name
}
data "aws_lambda_function" "note" {
  function_name = aws_lambda_function.note.function_name
}
data "aws_dynamodb_table" "orders" {
  name = aws_dynamodb_table.orders.name
}
data "aws_sqs_queue" "jobs" {
  name = aws_sqs_queue.jobs.name
}
data "aws_sns_topic" "news" {
  name = aws_sns_topic.news.name
}
data "aws_s3_object" "code" {
  bucket = aws_s3_object.code.bucket
  key    = aws_s3_object.code.key
}
data "aws_iam_role" "note" {
  name = aws_iam_role.note.name
}
data "aws_lambda_alias" "live" {
  function_name = aws_lambda_function.note.function_name
  name          = aws_lambda_alias.live.name
}

output "url" { value = aws_lambda_function_url.open.function_url }
output "read" { value = nonsensitive(data.aws_ssm_parameter.url.value) }
