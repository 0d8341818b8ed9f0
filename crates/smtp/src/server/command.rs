//! The grammar of command lines (RFC 5321 section 4.1.1). Paths and parameters are only cut out here; they
//! are read where the session knows whether the command is in sequence.

/// One command, borrowing from its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Hello {
        extended: bool,
        name: &'a str,
    },
    /// What follows `FROM:`.
    Mail {
        argument: &'a str,
    },
    /// What follows `TO:`.
    Rcpt {
        argument: &'a str,
    },
    Data,
    Bdat {
        size_bytes: u64,
        last: bool,
    },
    Reset,
    Noop,
    Quit,
    Verify,
    Help,
    StartTls,
    Auth {
        mechanism: &'a str,
        initial: Option<&'a str>,
    },
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandError {
    NotText,
    Unknown,
    NotImplemented,
    /// The argument is missing, superfluous or malformed; the usage to show.
    Argument(&'static str),
    /// A BDAT whose length cannot be told: what follows could be content or commands.
    ChunkLength,
    /// A browser or a proxy was made to speak to this port.
    OtherProtocol,
}

/// Reads one line without its CRLF.
pub(crate) fn parse(line: &[u8]) -> Result<Command<'_>, CommandError> {
    let line = std::str::from_utf8(line).map_err(|_| CommandError::NotText)?;
    let line = line.trim_end_matches([' ', '\t']);
    let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
    let argument = argument.trim_start_matches(' ');
    if argument.contains(|c: char| c.is_ascii_control()) {
        return Err(CommandError::NotText);
    }
    let mut upper = [0; 8];
    let Some(upper) = upper.get_mut(..verb.len()) else { return Err(CommandError::Unknown) };
    upper.copy_from_slice(verb.as_bytes());
    upper.make_ascii_uppercase();
    match &*upper {
        b"EHLO" => hello(true, argument),
        b"HELO" => hello(false, argument),
        b"MAIL" => after(argument, "FROM:")
            .map(|argument| Command::Mail { argument })
            .ok_or(CommandError::Argument("MAIL FROM:<address>")),
        b"RCPT" => after(argument, "TO:")
            .map(|argument| Command::Rcpt { argument })
            .ok_or(CommandError::Argument("RCPT TO:<address>")),
        b"DATA" => alone(argument, Command::Data, "DATA"),
        b"BDAT" => bdat(argument),
        b"RSET" => alone(argument, Command::Reset, "RSET"),
        b"NOOP" => Ok(Command::Noop),
        b"QUIT" => alone(argument, Command::Quit, "QUIT"),
        b"VRFY" if argument.is_empty() => Err(CommandError::Argument("VRFY address")),
        b"VRFY" => Ok(Command::Verify),
        b"HELP" => Ok(Command::Help),
        b"STARTTLS" => alone(argument, Command::StartTls, "STARTTLS"),
        b"AUTH" => auth(argument),
        b"EXPN" | b"TURN" | b"ETRN" | b"SEND" | b"SOML" | b"SAML" => Err(CommandError::NotImplemented),
        b"GET" | b"POST" | b"PUT" | b"HEAD" | b"OPTIONS" | b"CONNECT" => Err(CommandError::OtherProtocol),
        _ => Err(CommandError::Unknown),
    }
}

/// Names are not checked against the domain grammar: too many honest machines call themselves `my_pc`, and
/// nothing is decided by the name.
fn hello(extended: bool, name: &str) -> Result<Command<'_>, CommandError> {
    if name.is_empty() || name.len() > 255 || name.contains(' ') {
        let usage = if extended { "EHLO hostname" } else { "HELO hostname" };
        return Err(CommandError::Argument(usage));
    }
    Ok(Command::Hello { extended, name })
}

/// The rest of `MAIL FROM:` or `RCPT TO:`. Blanks after the colon are against the grammar and frequent.
fn after<'a>(argument: &'a str, keyword: &str) -> Option<&'a str> {
    let head = argument.get(..keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then(|| argument[keyword.len()..].trim_start_matches(' '))
}

fn alone<'a>(argument: &str, command: Command<'a>, usage: &'static str) -> Result<Command<'a>, CommandError> {
    if argument.is_empty() { Ok(command) } else { Err(CommandError::Argument(usage)) }
}

fn bdat(argument: &str) -> Result<Command<'_>, CommandError> {
    let (size, end) = argument.split_once(' ').unwrap_or((argument, ""));
    let digits = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
    let size_bytes = digits.then(|| size.parse().ok()).flatten().ok_or(CommandError::ChunkLength)?;
    match end.trim_start_matches(' ') {
        "" => Ok(Command::Bdat { size_bytes, last: false }),
        word if word.eq_ignore_ascii_case("LAST") => Ok(Command::Bdat { size_bytes, last: true }),
        _ => Err(CommandError::ChunkLength),
    }
}

fn auth(argument: &str) -> Result<Command<'_>, CommandError> {
    let mut words = argument.split(' ').filter(|word| !word.is_empty());
    match (words.next(), words.next(), words.next()) {
        (Some(mechanism), initial, None) => Ok(Command::Auth { mechanism, initial }),
        _ => Err(CommandError::Argument("AUTH mechanism [initial-response]")),
    }
}
