//! The constants of templates: texts, characters and numbers as Go's source has them.

use super::Value;

/// A constant and the number of bytes it takes, or what is wrong with it.
type Read = Result<(Value, usize), String>;

/// Reads what begins with a quotation mark: `"text"`, a raw text between backquotes, or a character, which is a number.
pub fn quoted(text: &str) -> Read {
    let mark = text.chars().next().unwrap_or('"');
    let inner = &text[1..];
    if mark == '`' {
        let end = inner.find('`').ok_or("unterminated raw quoted string")?;
        return Ok((inner[..end].into(), end + 2));
    }
    let unterminated = if mark == '"' {
        "unterminated quoted string"
    } else {
        "unterminated character constant"
    };
    let mut bytes = Vec::new();
    let mut at = 0;
    loop {
        let letter = inner[at..].chars().next().filter(|c| *c != '\n').ok_or(unterminated)?;
        if letter == mark {
            break;
        }
        if letter == '\\' {
            at += escape(&inner[at..], &mut bytes)?;
        } else {
            bytes.extend(letter.to_string().bytes());
            at += letter.len_utf8();
        }
    }
    let content = String::from_utf8_lossy(&bytes).into_owned();
    if mark == '"' {
        return Ok((Value::Text(content), at + 2));
    }
    let mut letters = content.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => Ok((Value::Int(u32::from(letter).into()), at + 2)),
        _ => Err(format!("malformed character constant: {}", &text[..at + 2])),
    }
}

/// Reads what follows a backslash, and returns how many bytes it took with it.
fn escape(text: &str, into: &mut Vec<u8>) -> Result<usize, String> {
    let malformed = || "invalid escape in a quoted string".to_string();
    let letter = text[1..].chars().next().ok_or_else(malformed)?;
    let digits = |from: usize, count: usize, base: u32| {
        let digits = text.get(from..from + count).ok_or_else(malformed)?;
        u32::from_str_radix(digits, base).map_err(|_| malformed())
    };
    let simple = match letter {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' | '\'' | '"' => letter as u8,
        'x' => {
            into.push(digits(2, 2, 16)? as u8);
            return Ok(4);
        }
        '0'..='7' => {
            into.push(u8::try_from(digits(1, 3, 8)?).map_err(|_| malformed())?);
            return Ok(4);
        }
        'u' | 'U' => {
            let count = if letter == 'u' { 4 } else { 8 };
            let letter = char::from_u32(digits(2, count, 16)?).ok_or_else(malformed)?;
            into.extend(letter.to_string().bytes());
            return Ok(2 + count);
        }
        _ => return Err(malformed()),
    };
    into.push(simple);
    Ok(2)
}

/// Reads a number: a whole one in base 10, 16, 8 or 2, or one with a point or an exponent.
pub fn number(text: &str) -> Read {
    let end = length(text);
    let word = &text[..end];
    let bad = || format!("bad number syntax: {word:?}");
    let (sign, digits) = match word.as_bytes().first() {
        Some(b'-') => ("-", &word[1..]),
        Some(b'+') => ("", &word[1..]),
        _ => ("", word),
    };
    let digits = digits.replace('_', "").to_ascii_lowercase();
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', rest @ ..] if !rest.is_empty() && rest.iter().all(u8::is_ascii_digit) => (8, &digits[1..]),
        _ => (10, digits.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return Err(bad());
    }
    if let Ok(number) = i64::from_str_radix(&format!("{sign}{digits}"), base) {
        return Ok((Value::Int(number), end));
    }
    let is_decimal = base == 10 && digits.contains(|c: char| c.is_ascii_digit()) && digits.contains(['.', 'e']);
    match format!("{sign}{digits}").parse::<f64>() {
        Ok(number) if is_decimal && number.is_finite() => Ok((Value::Float(number), end)),
        _ => Err(bad()),
    }
}

/// How many bytes belong to a number: letters and digits, points, and a sign after an exponent's letter.
fn length(text: &str) -> usize {
    let digits = text.trim_start_matches(['+', '-']);
    let is_hexadecimal = digits.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("0x"));
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        let is_sign = matches!(letter, '+' | '-') && (at == 0 || matches!(before, 'e' | 'E') && !is_hexadecimal);
        if !is_sign && !letter.is_alphanumeric() && letter != '.' && letter != '_' {
            return at;
        }
        before = letter;
    }
    text.len()
}
