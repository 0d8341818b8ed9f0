//! `indicia operator …`

use clap::Subcommand;
use serde_json::json;

use super::account::{check_email, created_wrongly};
use super::output::print;
use super::{ConfigFile, Done, Failure, Opened, note_done, print_json};
use crate::secrets;

#[derive(Subcommand)]
pub enum OperatorCommand {
    /// Make an operator with a console password.
    Create {
        /// Logs in to the console with it.
        #[arg(long, value_name = "ADDRESS")]
        email: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Print the token with which an operator's programs use the operators' API.
    Token {
        /// The operator's e-mail address.
        #[arg(value_name = "ADDRESS")]
        email: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub async fn run(command: OperatorCommand) -> Done {
    match command {
        OperatorCommand::Create { email, json, file } => {
            let opened = file.open_or_make().await?;
            let done = create(&opened, &email, json).await;
            opened.finish(done).await
        }
        OperatorCommand::Token { email, file } => {
            let opened = file.open().await?;
            let done = token(&opened, &email).await;
            opened.finish(done).await
        }
    }
}

async fn token(opened: &Opened, email: &str) -> Done {
    let operator = opened.store.operator_by_email(email).await?;
    let operator = operator.ok_or_else(|| Failure::failed(format!("there is no operator {email}")))?;
    let tokens = crate::secrets::operator_tokens(&opened.store).await?;
    note_done(opened, None, "show-operator-token", email).await?;
    print(tokens.token(&operator))
}

async fn create(opened: &Opened, email: &str, as_json: bool) -> Done {
    check_email(email)?;
    let password = secrets::console_password();
    let hash = secrets::hash(&password).map_err(Failure::failed)?;
    let operator_id = opened.store.create_operator(email, &hash).await.map_err(created_wrongly)?;
    // The password is printed though the note should fail: it exists nowhere else.
    let noted = note_done(opened, None, "create-operator", email).await;
    let printed = if as_json {
        print_json(&json!({ "operator_id": operator_id.to_string(), "console_password": password }))
    } else {
        print(format_args!(
            "operator          {operator_id}\nconsole login     {email}\nconsole password  {password}   (shown only now)"
        ))
    };
    printed.and(noted)
}
