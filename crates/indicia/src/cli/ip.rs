//! `indicia ip …`

use std::net::IpAddr;

use clap::Subcommand;
use indicia_domain::dedicated_ip::MONTHS_MAX;
use indicia_store::dedicated_ip::{AssignError, DedicatedIp, WarmupState};
use serde_json::{Value, json};

use super::output::{Out, print};
use super::{ConfigFile, Done, Failure, Opened, account_id, actor, named_account, print_json};

#[derive(Subcommand)]
pub enum IpCommand {
    /// Give an account a dedicated IP address; one that it has already gets so many months more.
    Assign {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// An address of this machine, as 192.0.2.7; one account's at most.
        address: IpAddr,
        /// The term in calendar months.
        #[arg(long, value_name = "N", default_value_t = 1)]
        months: i64,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// List dedicated addresses, of one account or of all.
    List {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: Option<i64>,
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Show how warm an account's addresses are, for each mailbox provider that they have sent to.
    Warmup {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Take a dedicated address from an account. Mail that waits for it goes out by others.
    Release {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        address: IpAddr,
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub async fn run(command: IpCommand) -> Done {
    match command {
        IpCommand::Assign { account_id, address, months, file } => {
            if !(1..=MONTHS_MAX).contains(&months) {
                return Err(Failure::usage(format!("--months is from 1 to {MONTHS_MAX}, not {months}")));
            }
            let opened = file.open().await?;
            let done = assign(&opened, account_id, address, months).await;
            opened.finish(done).await
        }
        IpCommand::List { account_id, json, file } => {
            let opened = file.open().await?;
            let done = list(&opened, account_id, json).await;
            opened.finish(done).await
        }
        IpCommand::Warmup { account_id, json, file } => {
            let opened = file.open().await?;
            let done = warmup(&opened, account_id, json).await;
            opened.finish(done).await
        }
        IpCommand::Release { account_id, address, file } => {
            let opened = file.open().await?;
            let done = release(&opened, account_id, address).await;
            opened.finish(done).await
        }
    }
}

async fn assign(opened: &Opened, account_id: i64, address: IpAddr, months: i64) -> Done {
    if address.is_unspecified() || address.is_multicast() {
        return Err(Failure::usage(format!("{address} is no address that mail can be sent from")));
    }
    let assigned = opened.store.assign_ip(account_id, address, months, &actor()).await;
    let assigned = assigned.map_err(|error| match error {
        AssignError::Months(_) => Failure::usage(error),
        other => Failure::failed(other),
    })?;
    let what = if assigned.was_its_own { "stays" } else { "is now" };
    let until = assigned.ends_at.rfc3339_seconds();
    print(format_args!("{address} {what} account {account_id}'s, until {until} (id {})", assigned.ip_id))
}

async fn list(opened: &Opened, account_id: Option<i64>, as_json: bool) -> Done {
    let ips = match account_id {
        Some(account_id) => {
            named_account(opened, account_id).await?;
            opened.store.dedicated_ips(account_id).await?
        }
        None => opened.store.all_dedicated_ips().await?,
    };
    if as_json {
        return print_json(&Value::Array(ips.iter().map(ip_json).collect()));
    }
    let mut out = Out::open();
    for ip in &ips {
        let pool = ip.pool.as_ref().map_or("no pool", |pool| pool.name.as_str());
        let (word, renewal) = match (ip.is_running, ip.term.auto_renewal) {
            (true, true) => ("until", ", renewed automatically"),
            (true, false) => ("until", ""),
            (false, _) => ("ended", ""),
        };
        out.line(format_args!(
            "{}  {}  {}  {pool}  {word} {}{renewal}  {}  {}",
            ip.account_id,
            ip.ip_id,
            ip.address,
            ip.ends_at.rfc3339_seconds(),
            ip.warmup_type.as_str(),
            ip.warmth.as_str()
        ))?;
    }
    out.close()
}

fn ip_json(ip: &DedicatedIp) -> Value {
    json!({
        "account_id": ip.account_id.to_string(),
        "ip_id": ip.ip_id.to_string(),
        "address": ip.address.to_string(),
        "pool": ip.pool.as_ref().map(|pool| pool.name.clone()),
        "starts_at": ip.term.starts_at.rfc3339_seconds(),
        "ends_at": ip.ends_at.rfc3339_seconds(),
        "is_running": ip.is_running,
        "auto_renewal": ip.term.auto_renewal,
        "warmup_type": ip.warmup_type.as_str(),
        "warmup_status": ip.warmth.as_str(),
    })
}

async fn warmup(opened: &Opened, account_id: i64, as_json: bool) -> Done {
    named_account(opened, account_id).await?;
    let (states, policy) = (opened.store.warmups(account_id).await?, opened.store.warmup_policy());
    if as_json {
        return print_json(&Value::Array(states.iter().map(state_json).collect()));
    }
    let days = policy.schedule.days();
    let mut out = Out::open();
    for state in &states {
        let allowance = state.allowance.map_or("no limit".to_owned(), |mails| format!("{mails} allowed"));
        let step = if state.warmup.finished {
            "warm".to_owned()
        } else {
            format!("day {}/{days}", state.warmup.step)
        };
        out.line(format_args!(
            "{}  {}  {step}  today {} sent, {allowance}, {} delivered, {} deferred, {} failed  {}",
            state.address,
            state.provider,
            state.today.sent,
            state.today.delivered,
            state.today.deferred,
            state.today.failed,
            state.reason
        ))?;
    }
    out.close()
}

fn state_json(state: &WarmupState) -> Value {
    json!({
        "address": state.address.to_string(),
        "provider": state.provider.as_str(),
        "step": state.warmup.step,
        "finished": state.warmup.finished,
        "allowance": state.allowance,
        "sent": state.today.sent,
        "delivered": state.today.delivered,
        "deferred": state.today.deferred,
        "failed": state.today.failed,
        "reason": state.reason,
    })
}

async fn release(opened: &Opened, account_id: i64, address: IpAddr) -> Done {
    named_account(opened, account_id).await?;
    if !opened.store.release_ip(account_id, address, &actor()).await? {
        return Err(Failure::failed(format!(
            "account {account_id} has no dedicated address {address}; `indicia ip list` shows whose it is"
        )));
    }
    print(format_args!("{address} is nobody's now; it was account {account_id}'s"))
}
