//! The command line: what can be asked, and how failures are reported.

pub mod account;
mod args;
mod audit;
mod bill;
pub mod domain;
mod ip;
mod ledger;
mod message;
mod notice;
mod operator;
pub mod output;
mod package;
mod price;
mod queue;
mod quota;
mod report;
mod simulate;
mod user;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use indicia_domain::time::Clock;
use indicia_store::account::Account;
use indicia_store::audit::{Actor, ActorKind};
use indicia_store::{DATABASE_FILE, Store};

use crate::clock::ShiftedClock;
use crate::config::{Config, ConfigError};

/// A DirectMail service that anyone can run.
#[derive(Parser)]
#[command(name = "indicia", version, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

impl Arguments {
    /// Reads the process's arguments; help and wrong usage end the process here.
    pub fn read() -> Arguments {
        let mut command = with_negative_values(Arguments::command());
        let found = Arguments::from_arg_matches(&command.get_matches_mut());
        found.unwrap_or_else(|error| error.format(&mut command).exit())
    }
}

/// A value may be a negative number wherever a value may be: whether it is in range is told by the sentence that
/// knows the range, and `-5` is never taken for an unknown option.
fn with_negative_values(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| match argument.get_action().takes_values() {
        true => argument.allow_negative_numbers(true),
        false => argument,
    });
    command.mut_subcommands(with_negative_values)
}

#[derive(Subcommand)]
enum Command {
    /// The whole service on loopback with nothing to configure.
    Demo {
        /// Where the demo keeps its data, to go on from next time. Without it: a folder that is deleted at the end.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Run the service.
    Serve(ConfigFile),
    /// Accounts, their contacts and their money.
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Operators, who see every account in the console.
    #[command(subcommand)]
    Operator(operator::OperatorCommand),
    /// The daily quota of an account.
    #[command(subcommand)]
    Quota(quota::QuotaCommand),
    /// Dedicated IP addresses.
    #[command(subcommand)]
    Ip(ip::IpCommand),
    /// Sending domains.
    #[command(subcommand)]
    Domain(domain::DomainCommand),
    /// Resource packages: list, buy, refund, renew, upgrade.
    #[command(subcommand)]
    Package(package::PackageCommand),
    /// Bills of pay-as-you-go, the job that makes them, and monthly statements.
    #[command(subcommand)]
    Bill(bill::BillCommand),
    /// The price list.
    #[command(subcommand)]
    Price(price::PriceCommand),
    /// What accounts were told, and what not.
    #[command(subcommand)]
    Notice(notice::NoticeCommand),
    /// Spam reports.
    #[command(subcommand)]
    Report(report::ReportCommand),
    /// Who did what.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Mail that waits for delivery.
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// One message and what became of it.
    #[command(subcommand)]
    Message(message::MessageCommand),
    /// The ledger: lines, balances, verification.
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Try quota policies on simulated senders and mailbox providers.
    Simulate(simulate::SimulateCommand),
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Read the configuration and the environment, and say whether they are usable.
    Check(ConfigFile),
}

/// Which configuration a command uses.
#[derive(Args, Clone)]
pub struct ConfigFile {
    /// The configuration file. Without it: the defaults and the environment.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    message: String,
    status: u8,
}

impl Failure {
    /// Something went wrong on the way: exit status 1.
    pub fn failed(message: impl ToString) -> Self {
        Failure { message: message.to_string(), status: 1 }
    }

    /// Asked wrongly, or configured wrongly: exit status 2.
    pub fn usage(message: impl ToString) -> Self {
        Failure { message: message.to_string(), status: 2 }
    }

    /// Nobody reads what is printed any more: nothing to report, and no failure.
    pub fn unread() -> Self {
        Failure { message: String::new(), status: 0 }
    }

    pub fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            // Whoever closed standard error does not want to know; the status says it all the same.
            let _ = writeln!(std::io::stderr(), "indicia: {}", self.message);
        }
        ExitCode::from(self.status)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::usage(error)
    }
}

impl From<indicia_store::StoreError> for Failure {
    fn from(error: indicia_store::StoreError) -> Self {
        Failure::failed(error)
    }
}

pub type Done = Result<(), Failure>;

/// Carries out what the command line asks.
pub async fn run(arguments: Arguments) -> Done {
    match arguments.command {
        Command::Demo { data } => crate::demo::run(data).await,
        Command::Serve(file) => crate::serve::run(file.load()?).await,
        Command::Account(command) => account::run(command).await,
        Command::Operator(command) => operator::run(command).await,
        Command::Quota(command) => quota::run(command).await,
        Command::Ip(command) => ip::run(command).await,
        Command::Domain(command) => domain::run(command).await,
        Command::Package(command) => package::run(command).await,
        Command::Bill(command) => bill::run(command).await,
        Command::Price(command) => price::run(command).await,
        Command::Notice(command) => notice::run(command).await,
        Command::Report(command) => report::run(command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Queue(command) => queue::run(command).await,
        Command::Message(command) => message::run(command).await,
        Command::Ledger(command) => ledger::run(command).await,
        Command::Simulate(command) => simulate::run(command).await,
        Command::Config(ConfigCommand::Check(file)) => {
            file.load()?;
            output::print("the configuration is usable")
        }
    }
}

/// A configuration and the store that it names, for one command.
pub struct Opened {
    pub config: Config,
    pub store: Store,
}

impl ConfigFile {
    pub fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(self.config.as_deref())?)
    }

    /// Opens the store as it is now; works whether or not a server runs. There must be one: a new, empty one would
    /// answer every question with "nothing", as if all were well.
    pub async fn open(&self) -> Result<Opened, Failure> {
        let config = self.load()?;
        if config.store.url == "sqlite" && !config.data_dir.join(DATABASE_FILE).exists() {
            return Err(Failure::failed(format!(
                "there is no database in {}; name the configuration with --config, or make one with `indicia serve`, \
                 `indicia account create` or `indicia operator create`",
                config.data_dir.display()
            )));
        }
        Self::opened(config).await
    }

    /// The same, making a new store where there is none.
    pub async fn open_or_make(&self) -> Result<Opened, Failure> {
        Self::opened(self.load()?).await
    }

    async fn opened(config: Config) -> Result<Opened, Failure> {
        let clock = Arc::new(ShiftedClock::default());
        let store = Store::open(&config.store.url, &config.data_dir, clock.clone() as Arc<dyn Clock>).await?;
        config.set_policies(&store)?;
        // A command on the demo's data must see the demo's time.
        if let Some(ahead) = crate::demo::stored_shift(&store).await? {
            clock.set_ahead_micros(ahead);
        }
        Ok(Opened { config, store })
    }
}

impl Opened {
    /// Closes the store, whatever came of the command.
    pub async fn finish(self, done: Done) -> Done {
        self.store.close().await;
        done
    }
}

/// Reads an account id, as printed by `account create`.
pub fn account_id(text: &str) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(id) if id > 0 => Ok(id),
        _ => Err(format!(
            "'{text}' is not an account id: it is the number that `indicia account create` printed"
        )),
    }
}

/// Reads a message id, as the API answered it.
pub fn message_id(text: &str) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(id) if id > 0 => Ok(id),
        _ => Err(format!("'{text}' is not a message id: it is the number that the API answered as EnvId")),
    }
}

pub fn print_json(value: &serde_json::Value) -> Done {
    output::print(value)
}

/// The account, or the failure that says there is none.
pub async fn named_account(opened: &Opened, account_id: i64) -> Result<Account, Failure> {
    let account = opened.store.account(account_id).await?;
    account.ok_or_else(|| {
        Failure::failed(format!("there is no account {account_id}; `indicia account list` shows them"))
    })
}

/// Who does it, for the audit log.
pub fn actor() -> Actor {
    Actor { kind: ActorKind::CommandLine, name: user::acting() }
}

/// The same, for the record of things done to a mail.
pub fn by_command_line() -> String {
    format!("{}, on the command line", user::acting())
}

/// Enters a deed that has been done in the audit log, where the store does not do so in the deed's own transaction.
pub async fn note_done(opened: &Opened, account_id: Option<i64>, action: &str, detail: &str) -> Done {
    opened.store.note_audit(&actor(), account_id, action, detail).await.map_err(|error| {
        Failure::failed(format!("it was done, but it could not be entered in the audit log: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_values_may_be_negative(command: &clap::Command) {
        for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
            assert!(argument.is_allow_negative_numbers_set(), "{} {argument}", command.get_name());
        }
        command.get_subcommands().for_each(assert_values_may_be_negative);
    }

    #[test]
    fn no_value_is_mistaken_for_an_option() {
        let command = with_negative_values(Arguments::command());
        assert_values_may_be_negative(&command);
        command.debug_assert();
    }
}
