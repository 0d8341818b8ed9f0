//! `indicia operator …`

use clap::Subcommand;
use serde_json::json;

use super::account::{check_email, created_wrongly};
use super::{ConfigFile, Done, Failure, Opened, print_json};
use crate::secrets;

#[derive(Subcommand)]
pub enum OperatorCommand {
    /// Make an operator with a console password.
    Create {
        #[arg(long, value_name = "ADDRESS")]
        email: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub async fn run(command: OperatorCommand) -> Done {
    let OperatorCommand::Create { email, json, file } = command;
    let opened = file.open_or_make().await?;
    let done = create(&opened, &email, json).await;
    opened.finish(done).await
}

async fn create(opened: &Opened, email: &str, as_json: bool) -> Done {
    check_email(email)?;
    let password = secrets::console_password();
    let hash = secrets::hash(&password).map_err(Failure::failed)?;
    let operator_id = opened.store.create_operator(email, &hash).await.map_err(created_wrongly)?;
    if as_json {
        print_json(&json!({ "operator_id": operator_id.to_string(), "console_password": password }));
    } else {
        println!("operator          {operator_id}");
        println!("console login     {email}");
        println!("console password  {password}   (shown only now)");
    }
    Ok(())
}
