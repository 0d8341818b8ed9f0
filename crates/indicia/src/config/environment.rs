//! `INDICIA_SECTION__KEY` in the environment, laid over the file.

use serde::Deserialize;

use super::{Config, ConfigError};

const PREFIX: &str = "INDICIA_";

/// Lays the variables over `table`, one by one, so that the error names the one that is wrong.
pub(super) fn overlay(
    mut table: toml::Table,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let mut ours: Vec<_> = variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    for (name, text) in ours {
        let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        table = laid_over(table, &path, &text)
            .map_err(|message| ConfigError::Environment { name: name.clone(), message })?;
    }
    Config::deserialize(toml::Value::Table(table)).map_err(|error| ConfigError::Malformed {
        path: "(with the environment)".to_owned(),
        message: error.to_string(),
    })
}

/// A text such as `["127.0.0.1:1"]`, `true` or `5` is taken as TOML where the key wants that, else as it stands.
fn laid_over(table: toml::Table, path: &[String], text: &str) -> Result<toml::Table, String> {
    let as_toml = format!("v = {text}").parse::<toml::Table>().ok().and_then(|mut parsed| parsed.remove("v"));
    let as_text = Some(toml::Value::String(text.to_owned()));
    let mut message = String::new();
    for value in [as_toml, as_text].into_iter().flatten() {
        let mut tried = table.clone();
        set(&mut tried, path, value)?;
        match Config::deserialize(toml::Value::Table(tried.clone())) {
            Ok(_) => return Ok(tried),
            Err(error) => message = error.to_string(),
        }
    }
    Err(message)
}

fn set(table: &mut toml::Table, path: &[String], value: toml::Value) -> Result<(), String> {
    let (last, sections) = path.split_last().ok_or("it names no key")?;
    let mut inner = table;
    for section in sections {
        let entry = inner.entry(section.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        inner = entry.as_table_mut().ok_or_else(|| format!("'{section}' is not a section"))?;
    }
    inner.insert(last.clone(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        overlay(toml::Table::new(), variables).map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_of_value_can_be_given() {
        let config = with(&[
            ("INDICIA_DATA_DIR", "elsewhere"),
            ("INDICIA_API__LISTEN", "127.0.0.1:9000"),
            ("INDICIA_DNS__SERVERS", "[\"127.0.0.1:5353\"]"),
            ("INDICIA_DELIVERY__PORT", "2600"),
            ("INDICIA_DELIVERY__HOSTNAME", "42"),
            ("INDICIA_BILLING__OVERDUE_SPARES_PREPAID", "true"),
            ("PATH", "untouched"),
        ])
        .unwrap();
        assert_eq!(
            (config.data_dir.to_str(), config.api.listen.port(), config.delivery.port),
            (Some("elsewhere"), 9000, 2600)
        );
        assert_eq!((config.dns.servers.len(), config.delivery.hostname.as_str()), (1, "42"));
        assert!(config.billing.overdue_spares_prepaid);
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (name, text) in [
            ("INDICIA_API__LISSTEN", "127.0.0.1:1"),
            ("INDICIA_API__LISTEN", "nowhere"),
            ("INDICIA_NONSENSE", "1"),
        ] {
            let error = with(&[(name, text)]).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }
}
