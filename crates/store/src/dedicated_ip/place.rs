//! Which dedicated address a mail goes out by, and what its attempts show of that address (R24).
//!
//! A claim locks the addresses of the accounts concerned, in order, looks up how much of today's allowance for the
//! recipient's provider each still has, lets the domain choose, and counts the mail as sent: all in the transaction
//! that leases the mail, so that two nodes never share the last place. A mail for which no address has room goes
//! by a shared one; it does not wait.
//!
//! A mail that is handed back untried, or that in the end did not go out by the address, gives its place back. A
//! node that dies keeps the places of what it held: the mails may have been sent. An allowance is thus never
//! passed, and at worst not quite used.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use indicia_domain::dedicated_ip::Term;
use indicia_domain::mail::provider::Provider;
use indicia_domain::quota::warmup::{DayCounts, Evidence, Warmup, WarmupPolicy, WarmupType, choose, day_of};
use indicia_domain::time::UnixMicros;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::{Kept, WARMUPS, address_of, warmup_type_of};
use crate::bulk::Bulk;
use crate::outcome::Outcome;
use crate::queue::{HandBack, QueuedMail};
use crate::{Result, Store};

/// The dedicated address that a claimed mail goes out by, and the day's allowance in which it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub ip_id: i64,
    pub address: IpAddr,
    pub provider: Provider,
    /// UTC.
    pub day: i64,
}

static STATES: Bulk = Bulk::new(
    "INSERT INTO ip_warmup (account_id, ip_id, provider, step, day, finished, reason) VALUES",
    "($, $, $, $, $, $, $)",
    "ON CONFLICT (account_id, ip_id, provider) DO UPDATE SET step = excluded.step, day = excluded.day, \
     finished = excluded.finished, reason = excluded.reason",
);
static COUNTS: Bulk = Bulk::new(
    "INSERT INTO ip_day (account_id, ip_id, provider, day, sent, delivered, deferred, failed) VALUES",
    "($, $, $, $, $, $, $, $)",
    "ON CONFLICT (account_id, ip_id, provider, day) DO UPDATE SET sent = ip_day.sent + excluded.sent, \
     delivered = ip_day.delivered + excluded.delivered, deferred = ip_day.deferred + excluded.deferred, \
     failed = ip_day.failed + excluded.failed",
);

/// Account, address, provider name, day.
type CountKey = (i64, i64, &'static str, i64);

/// What is to be added to the days' counts.
#[derive(Default)]
struct Changes(BTreeMap<CountKey, DayCounts>);

impl Changes {
    fn of(&mut self, account_id: i64, place: &Place) -> &mut DayCounts {
        self.0.entry((account_id, place.ip_id, place.provider.as_str(), place.day)).or_default()
    }

    /// In the order of their keys, as everybody writes them, so that no two wait for each other in a circle.
    async fn write(self, connection: &mut AnyConnection) -> Result<()> {
        let rows: Vec<(CountKey, DayCounts)> =
            self.0.into_iter().filter(|(_, counts)| *counts != DayCounts::default()).collect();
        COUNTS
            .run(connection, &rows, |query, ((account_id, ip_id, provider, day), counts)| {
                let query = query.bind(*account_id).bind(*ip_id).bind(*provider).bind(*day);
                query.bind(counts.sent).bind(counts.delivered).bind(counts.deferred).bind(counts.failed)
            })
            .await?;
        Ok(())
    }
}

/// An address of some pool that may be sent from now.
struct Usable {
    ip_id: i64,
    pool_id: i64,
    address: IpAddr,
    warmup_type: WarmupType,
}

/// An address's day at one provider, while a claim takes places of it.
struct Seat {
    warmup: Warmup,
    sent: i64,
    taken: i64,
    reason: String,
}

/// The addresses of one account.
struct Desk {
    usable: Vec<Usable>,
    seats: BTreeMap<(i64, Provider), Seat>,
    today: i64,
}

impl Desk {
    async fn load(
        store: &Store,
        connection: &mut AnyConnection,
        account_id: i64,
        policy: &WarmupPolicy,
        now: UnixMicros,
    ) -> Result<Desk> {
        let sql = format!(
            "SELECT ip_id, pool_id, address, starts_at, term_months, auto_renewal, warmup_type FROM dedicated_ip \
             WHERE account_id = $1 AND released_at IS NULL ORDER BY ip_id{}",
            store.engine().for_update()
        );
        let mut usable = Vec::new();
        for row in &sqlx::query(AssertSqlSafe(sql)).bind(account_id).fetch_all(&mut *connection).await? {
            let term = Term {
                starts_at: UnixMicros(row.try_get(3)?),
                months: row.try_get(4)?,
                auto_renewal: row.try_get::<i64, _>(5)? != 0,
            };
            let (address, kind): (String, String) = (row.try_get(2)?, row.try_get(6)?);
            let ip = Usable {
                ip_id: row.try_get(0)?,
                pool_id: row.try_get(1)?,
                address: address_of(&address)?,
                warmup_type: warmup_type_of(&kind)?,
            };
            if ip.pool_id != 0 && term.is_running(now) {
                usable.push(ip);
            }
        }
        let today = day_of(now);
        let mut seats = BTreeMap::new();
        if !usable.is_empty() {
            for row in &sqlx::query(WARMUPS).bind(account_id).fetch_all(connection).await? {
                let Kept { ip_id, provider, warmup, counts, reason } = Kept::read(row)?.on(policy, today);
                seats.insert((ip_id, provider), Seat { warmup, sent: counts.sent, taken: 0, reason });
            }
        }
        Ok(Desk { usable, seats, today })
    }

    /// A place at one of the pool's addresses; `None`: none has room.
    fn take(&mut self, policy: &WarmupPolicy, pool_id: i64, provider: Provider) -> Option<Place> {
        let pool: Vec<&Usable> = self.usable.iter().filter(|ip| ip.pool_id == pool_id).collect();
        let rooms: Vec<_> = pool
            .iter()
            .map(|ip| match self.seats.get(&(ip.ip_id, provider)) {
                Some(seat) => seat.warmup.room(policy, ip.warmup_type, seat.sent + seat.taken),
                None => Warmup::new(self.today).room(policy, ip.warmup_type, 0),
            })
            .collect();
        let chosen = pool.get(choose(&rooms)?)?;
        let seat = self.seats.entry((chosen.ip_id, provider)).or_insert_with(|| Seat {
            warmup: Warmup::new(self.today),
            sent: 0,
            taken: 0,
            reason: "begun with its first mail".to_owned(),
        });
        seat.taken += 1;
        let (ip_id, address, day) = (chosen.ip_id, chosen.address, seat.warmup.day);
        Some(Place { ip_id, address, provider, day })
    }

    async fn write_states(&self, connection: &mut AnyConnection, account_id: i64) -> Result<()> {
        let used: Vec<_> = self.seats.iter().filter(|(_, seat)| seat.taken > 0).collect();
        STATES
            .run(connection, &used, |query, ((ip_id, provider), seat)| {
                query
                    .bind(account_id)
                    .bind(*ip_id)
                    .bind(provider.as_str())
                    .bind(seat.warmup.step)
                    .bind(seat.warmup.day)
                    .bind(i64::from(seat.warmup.finished))
                    .bind(seat.reason.clone())
            })
            .await?;
        Ok(())
    }
}

/// Gives every recipient of a mail that names a pool its place, where there is one; `pools` has each mail's pool, 0
/// for none.
pub(crate) async fn take_places(
    store: &Store,
    connection: &mut AnyConnection,
    now: UnixMicros,
    mails: &mut [QueuedMail],
    pools: &[i64],
) -> Result<()> {
    let mut by_account: BTreeMap<i64, Vec<(usize, i64)>> = BTreeMap::new();
    for (index, (mail, pool_id)) in mails.iter().zip(pools).enumerate() {
        if *pool_id != 0 {
            by_account.entry(mail.account_id).or_default().push((index, *pool_id));
        }
    }
    let policy = store.warmup_policy();
    let mut changes = Changes::default();
    for (account_id, wanting) in by_account {
        let mut desk = Desk::load(store, connection, account_id, &policy, now).await?;
        for (index, pool_id) in wanting {
            for recipient in &mut mails[index].recipients {
                recipient.place = desk.take(&policy, pool_id, Provider::of_domain(&recipient.domain));
                if let Some(place) = &recipient.place {
                    changes.of(account_id, place).sent += 1;
                }
            }
        }
        desk.write_states(connection, account_id).await?;
    }
    changes.write(connection).await
}

/// Gives back the places of mails that were not tried.
pub(crate) async fn give_places_back(connection: &mut AnyConnection, mails: &[&HandBack]) -> Result<()> {
    let mut changes = Changes::default();
    for mail in mails {
        if let Some(place) = &mail.place {
            changes.of(mail.key.account_id, place).sent -= 1;
        }
    }
    changes.write(connection).await
}

/// Counts what attempts have shown of the addresses that they were made from. An attempt that was made from another,
/// since the address did not fit, or from none, since there was nowhere to send to, gives its place back.
pub(crate) async fn count_outcomes(connection: &mut AnyConnection, outcomes: &[&Outcome]) -> Result<()> {
    let mut changes = Changes::default();
    for outcome in outcomes {
        let Some(place) = &outcome.place else { continue };
        let counts = changes.of(outcome.key.account_id, place);
        if local_ip(&outcome.local_address) != Some(place.address) {
            counts.sent -= 1;
            continue;
        }
        let answered = Evidence::was_answered(outcome.phase, outcome.code);
        match Evidence::of(outcome.verdict.disposition, outcome.verdict.classification, answered) {
            Some(Evidence::Delivered) => counts.delivered += 1,
            Some(Evidence::Deferred) => counts.deferred += 1,
            Some(Evidence::Failed) => counts.failed += 1,
            None => {}
        }
    }
    changes.write(connection).await
}

fn local_ip(text: &str) -> Option<IpAddr> {
    text.parse::<SocketAddr>().map(|local| local.ip()).or_else(|_| text.parse()).ok()
}
