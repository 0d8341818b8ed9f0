//! What the demo prints: where to look, how to log in, and calls to paste.

use indicia_domain::mail::State;

use super::account::{Credentials, EMAIL, OPERATOR_EMAIL, SENDER};
use super::first_mail::{FirstMail, RECIPIENT};
use crate::config::Config;
use crate::serve::Addresses;

/// The whole welcome.
pub fn welcome(
    config: &Config,
    addresses: &Addresses,
    credentials: &Credentials,
    first: &FirstMail,
) -> String {
    let submission = addresses.submission.first().map(ToString::to_string).unwrap_or_default();
    let first_line = match first.state {
        State::Delivered => format!("delivered: {}", first.reply),
        state => format!("{}: {}", state.name(), first.reply),
    };
    format!(
        "\nIndicia's demo is up. Everything is on this machine only; every mail goes to the built-in mailbox provider.\n\n\
         Console     {url}\n\
         Login       {EMAIL}   password {password}\n\
         Operator    {OPERATOR_EMAIL}   password {operator}\n\
         First mail  {id}, {first_line}\n\
         Inbox       {url}/demo/inbox\n\
         Clock       curl -d advance=7d {url}/demo/clock\n\
         Data        {data}\n\
         Commands    INDICIA_DATA_DIR={data} indicia account list\n\n\
         Recipients named unknown@…, spam@…, full@… and grey@… show what real providers answer.\n\n\
         --- API call (bash, curl and openssl; ACS3-HMAC-SHA256) ---\n{api}\n\
         --- SMTP call (curl) ---\n{smtp}\n\
         --- SDK (pip install alibabacloud-dm20151123) ---\n{sdk}\n\
         --- end ---\n",
        url = config.console.public_url,
        password = credentials.console_password,
        operator = credentials.operator_password,
        id = first.message_id,
        data = config.data_dir.display(),
        api = api_call(&addresses.api.to_string(), credentials),
        smtp = smtp_call(&submission, credentials),
        sdk = sdk_call(&addresses.api.to_string(), credentials),
    )
}

/// A call signed by openssl: it can be pasted again and again.
fn api_call(api: &str, credentials: &Credentials) -> String {
    let template = r#"body='AccountName=@SENDER_ENC@&AddressType=1&ReplyToAddress=false&ToAddress=@RECIPIENT_ENC@&Subject=Hello%20from%20the%20API&TextBody=It%20works.'
date=$(date -u +%Y-%m-%dT%H:%M:%SZ); nonce=$(openssl rand -hex 16)
hash=$(printf %s "$body" | openssl dgst -sha256 -r | cut -d' ' -f1)
signed='content-type;host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version'
request=$(printf 'POST\n/\n\ncontent-type:application/x-www-form-urlencoded\nhost:@API@\nx-acs-action:SingleSendMail\nx-acs-content-sha256:%s\nx-acs-date:%s\nx-acs-signature-nonce:%s\nx-acs-version:2015-11-23\n\n%s\n%s' "$hash" "$date" "$nonce" "$signed" "$hash")
digest=$(printf %s "$request" | openssl dgst -sha256 -r | cut -d' ' -f1)
signature=$(printf 'ACS3-HMAC-SHA256\n%s' "$digest" | openssl dgst -sha256 -hmac '@SECRET@' -r | cut -d' ' -f1)
curl -s 'http://@API@/' -H 'content-type: application/x-www-form-urlencoded' -H 'x-acs-action: SingleSendMail' -H 'x-acs-version: 2015-11-23' -H "x-acs-content-sha256: $hash" -H "x-acs-date: $date" -H "x-acs-signature-nonce: $nonce" -H "Authorization: ACS3-HMAC-SHA256 Credential=@KEY@,SignedHeaders=$signed,Signature=$signature" -d "$body"; echo
"#;
    template
        .replace("@SENDER_ENC@", &SENDER.replace('@', "%40"))
        .replace("@RECIPIENT_ENC@", &RECIPIENT.replace('@', "%40"))
        .replace("@API@", api)
        .replace("@SECRET@", &credentials.access_key_secret)
        .replace("@KEY@", &credentials.access_key_id)
}

fn smtp_call(submission: &str, credentials: &Credentials) -> String {
    format!(
        "printf 'From: <{SENDER}>\\r\\nTo: <{RECIPIENT}>\\r\\nSubject: Hello over SMTP\\r\\n\\r\\nIt works.\\r\\n' | \
         curl -sS --url smtp://{submission} --user '{SENDER}:{password}' --mail-from {SENDER} --mail-rcpt {RECIPIENT} -T - && echo sent\n",
        password = credentials.smtp_password
    )
}

fn sdk_call(api: &str, credentials: &Credentials) -> String {
    format!(
        "from alibabacloud_dm20151123.client import Client\n\
         from alibabacloud_dm20151123.models import SingleSendMailRequest\n\
         from alibabacloud_tea_openapi.models import Config\n\
         client = Client(Config(access_key_id='{key}', access_key_secret='{secret}',\n\
         \x20                      endpoint='{api}', protocol='http', region_id='cn-hangzhou'))\n\
         answer = client.single_send_mail(SingleSendMailRequest(\n\
         \x20   account_name='{SENDER}', address_type=1, reply_to_address=False,\n\
         \x20   to_address='{RECIPIENT}', subject='Hello from the SDK', text_body='It works.'))\n\
         print(answer.body.env_id)\n",
        key = credentials.access_key_id,
        secret = credentials.access_key_secret,
    )
}
