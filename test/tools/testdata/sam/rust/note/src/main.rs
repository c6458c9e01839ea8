use lambda_runtime::{run, service_fn, Error, LambdaEvent};
use serde_json::Value;

async fn note(event: LambdaEvent<Value>) -> Result<(), Error> {
    let greeting = std::env::var("GREETING")?;
    for record in event.payload["Records"].as_array().into_iter().flatten() {
        let id = record["dynamodb"]["Keys"]["id"]["S"].as_str().ok_or("a record has no id")?;
        println!("{greeting} {id}");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    run(service_fn(note)).await
}
