//! The grammar of EXPECT: entries, parted by `;`, of `DETECTOR [from HH:MM] by HH:MM [DAYS] [ZONE]`.

use jiff::civil::{Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::MAX_BYTES;
use super::entry::{Days, Entry};
use super::fault::{ExpectFault, Wrong, shortened};

/// All entries, or all that is wrong with them.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, Vec<ExpectFault>> {
    if text.len() > MAX_BYTES {
        return Err(vec![too_long(text).of_all()]);
    }
    // The one that comes with the binary: an image may have none.
    let zones = TimeZoneDatabase::bundled();
    let mut good: Vec<(usize, Entry)> = Vec::new();
    let mut faults = Vec::new();
    let texts = text.split(';').map(str::trim);
    for (number, text) in (1..).zip(texts.filter(|text| !text.is_empty())) {
        let mut reader = Reader {
            zones: &zones,
            wrong: Vec::new(),
        };
        let Some(entry) = reader.entry(text) else {
            faults.extend(reader.wrong.into_iter().map(|it| it.of_entry(number, text)));
            continue;
        };
        match good.iter().find(|(_, other)| *other == entry) {
            Some((first, _)) => faults.push(repeated(*first).of_entry(number, text)),
            None => good.push((number, entry)),
        }
    }
    match faults.is_empty() {
        true => Ok(good.into_iter().map(|(_, entry)| entry).collect()),
        false => Err(faults),
    }
}

/// Reads one entry, and goes on after what is wrong with it.
struct Reader<'a> {
    zones: &'a TimeZoneDatabase,
    wrong: Vec<Wrong>,
}

impl Reader<'_> {
    /// The entry; `None` if anything is wrong with it.
    fn entry(&mut self, text: &str) -> Option<Entry> {
        let lower = text.to_ascii_lowercase();
        if lower.contains("cron(") || lower.contains("rate(") {
            return self.fail(scheduled(text));
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let (name, words) = self.name(&words);
        let (window, deadline) = match words.iter().position(|word| is(word, "by")) {
            Some(place) => {
                let (window, deadline) = words.split_at(place);
                (window, deadline.get(1..))
            }
            None => (words, None),
        };
        let from = self.window(window, deadline.is_some());
        let (by, rest) = match deadline {
            None => (self.fail(no_deadline()), [].as_slice()),
            Some([]) => (self.fail(not_a_time("by", None)), [].as_slice()),
            Some([time, rest @ ..]) => (self.time("by", time), rest),
        };
        let days_and_zone = self.days_and_zone(&joined(rest));
        let (days, zone) = days_and_zone?;
        Some(Entry {
            name: name?,
            from: from?,
            by: by?,
            days,
            zone,
        })
    }

    fn fail<T>(&mut self, wrong: Wrong) -> Option<T> {
        self.wrong.push(wrong);
        None
    }

    /// The first word, and the others. `by 07:00` lacks its detector; a detector may yet be named `by`.
    fn name<'a>(&mut self, words: &'a [&'a str]) -> (Option<String>, &'a [&'a str]) {
        match words {
            [first, second, ..]
                if (is(first, "from") || is(first, "by")) && second.contains(':') =>
            {
                (self.fail(not_a_detector(None)), words)
            }
            [name, rest @ ..] if is_detector(name) => (Some((*name).to_owned()), rest),
            [name, rest @ ..] => (self.fail(not_a_detector(Some(name))), rest),
            [] => (self.fail(not_a_detector(None)), words),
        }
    }

    /// What stands between the detector and `by`.
    fn window(&mut self, words: &[&str], has_deadline: bool) -> Option<Option<Time>> {
        let (from, surplus) = match words {
            [from, time, rest @ ..] if is(from, "from") => {
                (self.time("from", time).map(Some), rest)
            }
            [from] if is(from, "from") => (self.fail(not_a_time("from", None)), [].as_slice()),
            other => (Some(None), other),
        };
        // Without a `by`, that it is missing says it all.
        if has_deadline && !surplus.is_empty() {
            return self.fail(before_deadline(&surplus.join(" ")));
        }
        from
    }

    fn time(&mut self, keyword: &str, text: &str) -> Option<Time> {
        match time(text) {
            Some(time) => Some(time),
            None => self.fail(not_a_time(keyword, Some(text))),
        }
    }

    fn days_and_zone(&mut self, words: &[String]) -> Option<(Days, TimeZone)> {
        match words {
            [] => Some((Days::EVERY, TimeZone::UTC)),
            [word] => match (days(word), self.zone(word)) {
                (Some(days), _) => Some((days, TimeZone::UTC)),
                (None, Some(zone)) => Some((Days::EVERY, zone)),
                (None, None) if word.contains('/') => self.fail(not_a_zone(word)),
                (None, None) => self.fail(not_days(word)),
            },
            [first, second, surplus @ ..] => {
                let days = match days(first) {
                    Some(days) => Some(days),
                    None => self.fail(not_days(first)),
                };
                let zone = match self.zone(second) {
                    Some(zone) => Some(zone),
                    None => self.fail(not_a_zone(second)),
                };
                if !surplus.is_empty() {
                    return self.fail(after_zone(&surplus.join(" ")));
                }
                Some((days?, zone?))
            }
        }
    }

    fn zone(&self, name: &str) -> Option<TimeZone> {
        let zone = self.zones.get(name).ok()?;
        (!zone.is_unknown()).then_some(zone)
    }
}

fn is(word: &str, keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword)
}

/// `*`, or an identifier as Fraud Detector allows it.
fn is_detector(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    text == "*" || ((1..=64).contains(&text.len()) && text.bytes().all(fits))
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let is_number = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| is_number)
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

/// The words, where `MON, TUE - FRI` is one.
fn joined(words: &[&str]) -> Vec<String> {
    const JOINTS: [char; 2] = [',', '-'];
    let mut joined: Vec<String> = Vec::new();
    for word in words {
        match joined.last_mut() {
            Some(last) if last.ends_with(JOINTS) || word.starts_with(JOINTS) => last.push_str(word),
            Some(_) | None => joined.push((*word).to_owned()),
        }
    }
    joined
}

fn days(text: &str) -> Option<Days> {
    let parts: Option<Vec<Days>> = text.split(',').map(days_of_part).collect();
    parts?.into_iter().reduce(Days::and)
}

fn days_of_part(part: &str) -> Option<Days> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    Some(Days::range(day(first)?, day(last)?))
}

fn day(text: &str) -> Option<Weekday> {
    Some(match text.to_ascii_uppercase().as_str() {
        "MON" => Weekday::Monday,
        "TUE" => Weekday::Tuesday,
        "WED" => Weekday::Wednesday,
        "THU" => Weekday::Thursday,
        "FRI" => Weekday::Friday,
        "SAT" => Weekday::Saturday,
        "SUN" => Weekday::Sunday,
        _ => return None,
    })
}

fn too_long(text: &str) -> Wrong {
    Wrong {
        problem: format!("it has {} bytes", text.len()),
        rule: "at most 2000 bytes long",
        example: "* by 07:00 MON-FRI",
    }
}

fn repeated(first: usize) -> Wrong {
    Wrong {
        problem: format!("it repeats entry {first}"),
        rule: "there once",
        example: "payments_detector by 07:00; payments_detector by 19:00",
    }
}

fn scheduled(text: &str) -> Wrong {
    Wrong {
        problem: format!("the schedule is {:?}", shortened(text)),
        rule: "a detector, `by` with a time of day, and days of the week",
        example: "payments_detector by 07:00 MON-FRI Europe/Dublin",
    }
}

fn not_a_detector(value: Option<&str>) -> Wrong {
    Wrong {
        problem: format!("the detector {}", is_value(value)),
        rule: "`*` for any, or 1 to 64 of a-z, 0-9, `_` and `-`",
        example: "payments_detector",
    }
}

fn no_deadline() -> Wrong {
    Wrong {
        problem: "the deadline is missing".to_owned(),
        rule: "`by` and a time of day, after the detector",
        example: "payments_detector by 07:00",
    }
}

fn not_a_time(keyword: &str, value: Option<&str>) -> Wrong {
    Wrong {
        problem: format!("the time after `{keyword}` {}", is_value(value)),
        rule: "HH:MM from 00:00 to 23:59",
        example: "07:00",
    }
}

fn before_deadline(surplus: &str) -> Wrong {
    Wrong {
        problem: format!("what stands before `by` {}", is_value(Some(surplus))),
        rule: "nothing, or `from` and a time of day",
        example: "payments_detector from 22:00 by 07:00",
    }
}

fn not_days(value: &str) -> Wrong {
    let part = |part: &&str| days_of_part(part).is_none();
    let bad: Vec<&str> = value.split(',').filter(part).collect();
    let bad = bad.join(",");
    let (problem, rule) = match bad.starts_with(|c: char| c.is_ascii_digit()) {
        true => (
            format!("the day {}", is_value(Some(&bad))),
            "a day of the week, MON to SUN, and not one of the month",
        ),
        false => (
            format!("what follows the time {}", is_value(Some(&bad))),
            "days of the week, MON to SUN with commas and ranges, then an IANA time zone, each if need be",
        ),
    };
    Wrong {
        problem,
        rule,
        example: "MON-WED,FRI Europe/Dublin",
    }
}

fn not_a_zone(value: &str) -> Wrong {
    Wrong {
        problem: format!("the time zone {}", is_value(Some(value))),
        rule: "a name of the IANA database, after the days",
        example: "MON-FRI Europe/Dublin",
    }
}

fn after_zone(surplus: &str) -> Wrong {
    Wrong {
        problem: format!("what follows the time zone {}", is_value(Some(surplus))),
        rule: "left out, or an entry of its own after a `;`",
        example: "* by 07:00; payments_detector by 19:00",
    }
}

fn is_value(value: Option<&str>) -> String {
    match value {
        Some(value) => format!("is {:?}", shortened(value)),
        None => "is missing".to_owned(),
    }
}
