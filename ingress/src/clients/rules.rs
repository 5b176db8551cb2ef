//! What a registration must look like.

use jiff::civil::Date;

use crate::http::FieldError;

/// The longest e-mail address, in bytes.
pub const EMAIL_LENGTH_MAX: usize = 254;
const NAME_LENGTH_MAX: usize = 200;
/// The longest password, in bytes: no person types more, though argon2 would hash it.
const PASSWORD_LENGTH_MAX: usize = 256;

/// The form in which e-mail addresses are compared.
pub fn email_key(email: &str) -> String {
    email.to_lowercase()
}

/// Whether a text has the form of an e-mail address.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let local_byte = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    text.len() <= EMAIL_LENGTH_MAX
        && (1..=64).contains(&local.len())
        && local.bytes().all(local_byte)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.contains('.')
        && domain.split('.').all(label)
}

/// Reports the faults of an e-mail address.
pub(super) fn check_email(email: &str, errors: &mut Vec<FieldError>) {
    if !is_email(email) {
        errors.push(FieldError::new("email", "INVALID_REQUEST", "is not an e-mail address"));
    }
}

/// Reports the faults of the personal data.
pub(super) fn check_person(
    name: &str,
    phone: Option<&str>,
    date_of_birth: Option<&str>,
    today: Date,
    errors: &mut Vec<FieldError>,
) {
    if name.trim().is_empty() || name.chars().count() > NAME_LENGTH_MAX || name.chars().any(char::is_control) {
        errors.push(FieldError::new(
            "name",
            "INVALID_REQUEST",
            "is a text of 1 to 200 characters on one line",
        ));
    }
    if phone.is_some_and(|phone| !is_phone(phone)) {
        errors.push(FieldError::new(
            "phone",
            "INVALID_REQUEST",
            "is an optional + and 5 to 20 digits, spaces or hyphens",
        ));
    }
    if date_of_birth.is_some_and(|text| !is_birthday(text, today)) {
        errors.push(FieldError::new(
            "date_of_birth",
            "INVALID_REQUEST",
            "is a date in the past, from 1900 on, in the form YYYY-MM-DD",
        ));
    }
}

/// Only the plain form is taken: others that are read here may mean nothing to the database.
fn is_birthday(text: &str, today: Date) -> bool {
    let date = text.parse::<Date>().ok().filter(|date| date.to_string() == text);
    date.is_some_and(|date| date < today && date.year() >= 1900)
}

fn is_phone(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (5..=20).contains(&digits.len())
        && digits.starts_with(|first: char| first.is_ascii_digit())
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b' ' || byte == b'-')
}

/// Reports each rule that a password breaks.
pub(super) fn check_password(password: &str, errors: &mut Vec<FieldError>) {
    let rules: [(bool, &'static str); 5] = [
        (password.chars().count() >= 8, "needs at least 8 characters"),
        (password.len() <= PASSWORD_LENGTH_MAX, "has more than 256 bytes"),
        (password.chars().any(char::is_uppercase), "needs an upper-case letter"),
        (password.chars().any(char::is_lowercase), "needs a lower-case letter"),
        (
            password.chars().any(|character| character.is_ascii_digit()),
            "needs a digit",
        ),
    ];
    let broken = rules.into_iter().filter(|(met, _)| !met);
    errors.extend(broken.map(|(_, message)| FieldError::new("password", "WEAK_PASSWORD", message)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broken_password_rule_is_named() {
        for (password, broken) in [
            ("Abcdefg1", vec![]),
            ("abcdefg1", vec!["upper"]),
            ("ABCDEFG1", vec!["lower"]),
            ("Abcdefgh", vec!["digit"]),
            ("Abc1", vec!["8 characters"]),
            ("", vec!["8 characters", "upper", "lower", "digit"]),
        ] {
            let mut errors = Vec::new();
            check_password(password, &mut errors);
            assert_eq!(errors.len(), broken.len(), "{password}");
            for (error, word) in errors.iter().zip(broken) {
                assert!(error.message.contains(word), "{password}: {}", error.message);
                assert_eq!(error.code, "WEAK_PASSWORD");
            }
        }
    }

    #[test]
    fn e_mail_addresses_are_distinguished_from_other_texts() {
        for good in ["a@b.co", "First.Last+tag@sub.example.com", "x_y@ex-ample.org"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b.co",
            "a@",
            "a@b",
            "a b@c.de",
            "a@b..co",
            "a@-b.co",
            ".a@b.co",
            "a..b@c.de",
            "a@b.co\n",
            "a@b@c.de",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn personal_data_is_checked() {
        let today = Date::constant(2030, 1, 1);
        let faults = |name: &str, phone: Option<&str>, born: Option<&str>| {
            let mut errors = Vec::new();
            check_person(name, phone, born, today, &mut errors);
            errors
                .into_iter()
                .map(|error| error.field.into_owned())
                .collect::<Vec<_>>()
        };
        assert!(faults("Ada", Some("+1 514-555-0100"), Some("1990-12-31")).is_empty());
        assert_eq!(
            faults(" ", Some("call me"), Some("2030-01-01")),
            ["name", "phone", "date_of_birth"]
        );
        for odd in [
            "19901231",
            "1990-12-31T10:00",
            "1990-12-31T00:00:00[UTC]",
            "+001990-12-31",
            "1990-12-31 ",
            "1899-12-31",
        ] {
            assert_eq!(faults("Ada", None, Some(odd)), ["date_of_birth"], "{odd}");
        }
        assert_eq!(
            faults("A\u{7}", Some("+"), Some("1990-02-30")),
            ["name", "phone", "date_of_birth"]
        );
    }
}
