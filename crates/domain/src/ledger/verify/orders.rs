//! Orders and the packages that they brought, changed or gave back (R08, R12): prices, specifications and names against
//! the lines and against each other.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Kind;
use super::super::package::Closed;
use super::deeds::{Deeds, OrderLines};
use super::{Stored, StoredOrder, StoredPackage};

/// The rows by their names.
struct Rows<'a> {
    orders: BTreeMap<i64, &'a StoredOrder>,
    packages: BTreeMap<&'a str, &'a StoredPackage>,
    by_order: BTreeMap<i64, Vec<&'a StoredPackage>>,
}

/// Everything in which orders and packages differ from the lines or from each other.
pub(super) fn compare(stored: &Stored, deeds: &Deeds) -> Vec<String> {
    let mut by_order: BTreeMap<i64, Vec<&StoredPackage>> = BTreeMap::new();
    for package in &stored.packages {
        by_order.entry(package.order_id).or_default().push(package);
    }
    let rows = Rows {
        orders: stored.orders.iter().map(|order| (order.order_id, order)).collect(),
        packages: stored.packages.iter().map(|row| (row.package.instance_id.as_str(), row)).collect(),
        by_order,
    };
    let mut wrong = Vec::new();
    for order in &stored.orders {
        match deeds.orders.get(&order.order_id) {
            Some(lines) => compare_order(order, lines, &rows, &mut wrong),
            None => wrong.push(format!("order {}: has no ledger lines", order.order_id)),
        }
    }
    for id in deeds.orders.keys().filter(|id| !rows.orders.contains_key(*id)) {
        wrong.push(format!("order {id}: has ledger lines, but there is no such order"));
    }
    for package in &stored.packages {
        compare_purchase(package, deeds, &rows, &mut wrong);
        compare_return(package, deeds, &mut wrong);
    }
    wrong
}

fn compare_order(order: &StoredOrder, lines: &OrderLines, rows: &Rows<'_>, wrong: &mut Vec<String>) {
    let name = format!("order {}", order.order_id);
    let booked_as = match order.kind.as_str() {
        "New" | "Renew" => Kind::Purchase,
        "Upgrade" => Kind::Upgrade,
        "Refund" => Kind::Refund,
        other => return wrong.push(format!("{name}: '{other}' is no kind of order")),
    };
    if lines.kinds != [booked_as] {
        let kinds: Vec<_> = lines.kinds.iter().map(|kind| kind.as_str()).collect();
        wrong.push(format!("{name}: is of kind {}, its lines are of {}", order.kind, kinds.join(", ")));
    }
    if let Some(moved) = lines.moved {
        if moved.micros != i128::from(order.amount_micros) {
            let (says, micros) = (order.amount_micros, moved.micros);
            wrong.push(format!("{name}: its lines take {micros} millionths, it says {says}"));
        }
        if !moved.is_all_at(order.at) {
            wrong.push(format!("{name}: placed at {}, its lines are of {}", order.at, moved.first_at));
        }
    }
    compare_packages_of(order, lines, rows, wrong);
    compare_amount(order, rows, wrong);
}

/// How many packages an order brings, of which specification, for which other.
fn compare_packages_of(order: &StoredOrder, lines: &OrderLines, rows: &Rows<'_>, wrong: &mut Vec<String>) {
    let name = format!("order {}", order.order_id);
    let own = rows.by_order.get(&order.order_id).map_or(&[][..], Vec::as_slice);
    let has: BTreeSet<&str> = own.iter().map(|row| row.package.instance_id.as_str()).collect();
    let granted: BTreeSet<&str> = lines.granted.iter().map(String::as_str).collect();
    let brings = if order.kind == "Refund" { 0 } else { order.quantity };
    if has != granted || lines.granted.len() as i64 != brings {
        wrong.push(format!(
            "{name}: its lines grant {:?}, its packages are {has:?}, it says {brings}",
            lines.granted
        ));
    }
    if order.kind != "New" && order.quantity != 1 {
        wrong.push(format!("{name}: is for {} packages at once", order.quantity));
    }
    let related = order.related_instance.as_deref();
    let found = related.and_then(|instance| rows.packages.get(instance));
    match (order.kind.as_str(), related, found) {
        ("New", None, _) | ("Renew" | "Upgrade" | "Refund", Some(_), Some(_)) => {}
        _ => wrong.push(format!(
            "{name}: the other package of it is {}, which a {} cannot have",
            related.unwrap_or("none"),
            order.kind
        )),
    }
    let taken: Vec<&str> = match order.kind.as_str() {
        "Upgrade" | "Refund" => related.into_iter().collect(),
        _ => Vec::new(),
    };
    if lines.taken_back != taken {
        wrong.push(format!("{name}: its lines take back {:?}, it says {taken:?}", lines.taken_back));
    }
    let told: Vec<&StoredPackage> = match order.kind.as_str() {
        "Refund" => found.into_iter().copied().collect(),
        _ => own.to_vec(),
    };
    for row in told.iter().filter(|row| row.specification != order.specification) {
        wrong.push(format!(
            "{name}: is for {} mails, {} for {}",
            order.specification, row.package.instance_id, row.specification
        ));
    }
}

/// The amount is the price of what the order brings, less the price of what it takes back.
fn compare_amount(order: &StoredOrder, rows: &Rows<'_>, wrong: &mut Vec<String>) {
    let own = rows.by_order.get(&order.order_id).map_or(&[][..], Vec::as_slice);
    let brings: i128 = own.iter().map(|row| i128::from(row.price_micros)).sum();
    let related = order.related_instance.as_deref().and_then(|instance| rows.packages.get(instance));
    let takes = match order.kind.as_str() {
        "Upgrade" | "Refund" => related.map_or(0, |row| i128::from(row.price_micros)),
        _ => 0,
    };
    if brings - takes != i128::from(order.amount_micros) {
        wrong.push(format!(
            "order {}: its amount is {} millionths, by the prices of its packages it is {}",
            order.order_id,
            order.amount_micros,
            brings - takes
        ));
    }
    if own.iter().any(|row| row.price_micros != own[0].price_micros) {
        wrong.push(format!("order {}: its packages have different prices", order.order_id));
    }
}

/// A package against the line that granted it and the order that it names.
fn compare_purchase(row: &StoredPackage, deeds: &Deeds, rows: &Rows<'_>, wrong: &mut Vec<String>) {
    let instance = &row.package.instance_id;
    if let Some(line) = deeds.grants.get(instance) {
        let kept = (row.order_id, row.specification, row.package.purchased_at);
        if kept != (line.order_id, line.mails, line.at) {
            wrong.push(format!(
                "{instance}: was bought by order {} with {} mails at {}, its line is of order {}, {} mails, {}",
                kept.0, kept.1, kept.2, line.order_id, line.mails, line.at
            ));
        }
    }
    let Some(order) = rows.orders.get(&row.order_id) else {
        return wrong.push(format!("{instance}: its order {} does not exist", row.order_id));
    };
    let renews = order.related_instance.as_deref().filter(|_| order.kind == "Renew");
    if row.renewal_of.as_deref() != renews {
        wrong.push(format!(
            "{instance}: is the renewal of {}, by its order of {}",
            row.renewal_of.as_deref().unwrap_or("none"),
            renews.unwrap_or("none")
        ));
    }
    if let Some(old) = row.renewal_of.as_deref().filter(|old| !rows.packages.contains_key(*old)) {
        wrong.push(format!("{instance}: is the renewal of {old}, which the account does not have"));
    }
}

/// A package against the line that took it back: how, when, and what replaced it.
fn compare_return(row: &StoredPackage, deeds: &Deeds, wrong: &mut Vec<String>) {
    let instance = &row.package.instance_id;
    let line = deeds.returns.get(instance);
    let by_lines = line.and_then(|line| match line.kind {
        Kind::Refund => Some(Closed::Refund),
        Kind::Upgrade => Some(Closed::Upgrade),
        _ => None,
    });
    let name = |closed: Option<Closed>| closed.map_or("nothing", Closed::as_str);
    if row.package.closed != by_lines {
        wrong.push(format!(
            "{instance}: was taken back as {}, by the lines as {} (R12)",
            name(row.package.closed),
            name(by_lines)
        ));
    }
    if row.closed_at != line.map(|line| line.at) {
        wrong.push(format!("{instance}: the instant at which it was taken back is not its line's"));
    }
    let replaced_by = line
        .filter(|line| line.kind == Kind::Upgrade)
        .and_then(|line| deeds.orders.get(&line.order_id))
        .and_then(|order| order.granted.first());
    if row.replaced_by.as_ref() != replaced_by {
        wrong.push(format!(
            "{instance}: was exchanged for {}, by the lines for {}",
            row.replaced_by.as_deref().unwrap_or("none"),
            replaced_by.map_or("none", String::as_str)
        ));
    }
}
