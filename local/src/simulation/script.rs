//! Who asks for codes, when, from where and with which number. All of it comes from fixed seeds, so every run plays the same requests.
//!
//! A number is `+1`, an area code of three digits, and seven more. An *area* has all numbers of an area code; a *block* has 100,000
//! numbers, all but the last five digits; a *range* has 1,000, all but the last three. Honest users have the numbers of a range that end
//! in 250 or more, and the pumper has the others, so that nobody honest has a pumped number. But honest users live in pumped ranges.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

const SECOND_MS: u64 = 1_000;
/// A minute in milliseconds.
pub(super) const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// A day in milliseconds.
pub(super) const DAY_MS: u64 = 24 * HOUR_MS;
/// 2100-01-01T00:00:00Z: so far ahead that nothing expires by the machine's own clock.
pub(super) const FIRST_DAY_MS: u64 = 4_102_444_800_000;
/// The days before the attack.
const HISTORY_DAYS: u64 = 14;
/// When the day of the attack begins.
pub(super) const ATTACK_MS: u64 = FIRST_DAY_MS + HISTORY_DAYS * DAY_MS;
/// Nobody begins later in a day, so that everybody is done at its end.
const LAST_START_MS: u64 = DAY_MS - 10 * MINUTE_MS;

/// Honest users a day. The number of the returning was approved earlier; of the new ones, an office sits behind one IP address.
const HONEST: usize = 2_000;
const RETURNING: usize = HONEST * 2 / 5;
const OFFICE: usize = 300;
const OFFICE_IP: &str = "198.51.100.7";
/// The shortest wait before "send again": `PhoneLimit` allows one code in 30 seconds.
const SEND_AGAIN_MS: u64 = 31 * SECOND_MS;
/// Pumped numbers, and how often each is asked for.
const PUMPED: u64 = 5_000;
const ATTEMPTS: u64 = 3;
/// Where the honest users' numbers begin in a range.
const FIRST_HONEST: u64 = 250;
/// Blocks of an area code: the next digits are 20 to 99.
const BLOCKS: u64 = 80;

/// Area codes of honest users, the busiest first.
const AREA_CODES: [u64; 20] =
    [212, 213, 305, 312, 404, 206, 303, 503, 512, 602, 612, 617, 702, 713, 818, 917, 415, 646, 773, 816];
/// Area codes in which no honest user has a number.
const OTHER_AREA_CODES: [u64; 50] = [
    201, 202, 203, 205, 207, 208, 209, 210, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229, 231, 234, 239, 240, 248,
    251, 252, 253, 254, 256, 260, 262, 267, 269, 270, 276, 281, 301, 302, 304, 307, 308, 309, 310, 313, 314, 315, 316,
    317, 318, 319, 320,
];

/// Area codes that nobody has been assigned yet, and that could be.
const UNASSIGNED_AREA_CODES: [u64; 50] = [
    221, 230, 232, 237, 238, 241, 243, 245, 247, 258, 259, 261, 265, 271, 275, 278, 280, 282, 285, 286, 287, 328, 335,
    338, 342, 348, 349, 356, 357, 358, 359, 362, 370, 371, 372, 373, 374, 375, 376, 378, 379, 381, 383, 384, 387, 389,
    420, 421, 426, 427,
];

/// Which numbers are pumped.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Its name in the table.
    pub name: &'static str,
    blocks: u64,
    /// Pumped ranges in each block.
    ranges: u64,
    /// Area codes without honest users, if the blocks are there.
    area_codes: Option<&'static [u64; 50]>,
}

impl Shape {
    /// Only honest users.
    pub const NO_ATTACK: Self = Self { name: "no attack", blocks: 0, ranges: 0, area_codes: None };
    /// Few ranges, side by side.
    pub const ADJACENT: Self = Self { name: "1 block × 20 ranges", blocks: 1, ranges: 20, area_codes: None };
    /// Just enough ranges to fill the country.
    pub const THREE: Self = Self { name: "3 blocks × 34 ranges", blocks: 3, ranges: 34, area_codes: None };
    /// As many ranges, in more blocks.
    pub const TWENTY: Self = Self { name: "20 blocks × 5 ranges", blocks: 20, ranges: 5, area_codes: None };
    /// Many ranges in many blocks.
    pub const HUNDRED: Self = Self { name: "100 blocks × 5 ranges", blocks: 100, ranges: 5, area_codes: None };
    /// As many ranges, each in a block where nobody has ever asked for a code.
    pub const ELSEWHERE: Self =
        Self { name: "500 fresh blocks × 1 range", blocks: 500, ranges: 1, area_codes: Some(&OTHER_AREA_CODES) };

    /// As many ranges, in area codes that no metadata knows.
    pub const UNASSIGNED: Self =
        Self { name: "500 unassigned blocks × 1 range", area_codes: Some(&UNASSIGNED_AREA_CODES), ..Self::ELSEWHERE };

    /// How many ranges are pumped.
    pub(super) const fn range_count(&self) -> u64 {
        self.blocks * self.ranges
    }

    /// The digits of a pumped range. Blocks are in the less used area codes, and there in the less used blocks.
    fn range(&self, n: u64) -> String {
        let (block, range) = (n % self.blocks, n / self.blocks);
        let (area, rank) = match self.area_codes {
            Some(area_codes) => (area_codes[index(block % 50)], block / 50),
            None => (AREA_CODES[19 - index(block % 5)], block / 5),
        };
        digits(area, BLOCKS - 1 - rank, range)
    }
}

/// Where pumped requests come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Addresses {
    /// A botnet: each request from an IPv4 address of its own, all over the networks.
    Botnet,
    /// A rented network: each request from a /64 of its own within one IPv6 /48.
    Ipv6Network,
}

impl Addresses {
    /// Their name in the table.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Botnet => "IPv4 botnet",
            Self::Ipv6Network => "one IPv6 /48",
        }
    }

    fn address(self, n: u64) -> String {
        let n = u32::try_from(n).unwrap_or_default();
        match self {
            // An odd factor gives each request another of the 2^29 addresses from 32.0.0.0 on, far from the last one.
            Self::Botnet => Ipv4Addr::from_bits(0x2000_0000 + (n.wrapping_mul(0x9e37_79b1) & 0x1fff_ffff)).to_string(),
            Self::Ipv6Network => {
                Ipv6Addr::from_bits((0x2001_0db8_0007_0000_0000_0000_0000_0001) | (u128::from(n) << 64)).to_string()
            }
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The pumper.
    Pumper,
    /// An honest user whose number was never approved.
    New,
    /// An honest user whose number was.
    Returning,
    /// A returning user on the day before the attack, where there is no history.
    Before,
}

/// A request for a code and what follows from it.
pub(super) struct Visit {
    pub who: Who,
    pub at_ms: u64,
    pub phone: String,
    pub ip: String,
    /// The code of the first SMS, and of the one that "send again" sends.
    pub codes: [String; 2],
    /// How long after the SMS the code is typed; none if it never is.
    pub verifies_after_ms: Option<u64>,
    pub mistypes: bool,
    /// How long after the first SMS "send again" is tapped, unless the code is typed before.
    pub sends_again_after_ms: Option<u64>,
}

/// Numbers that look random and are the same in each run: a xorshift generator.
struct Dice(u64);

impl Dice {
    /// From `from` to `to`, without `to`.
    fn between(&mut self, from: u64, to: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        from + self.0 % (to - from)
    }

    /// Most often near `middle`, and always within `width` of it: a bell, from three throws.
    fn near(&mut self, middle: u64, width: u64) -> u64 {
        let thrown: u64 = (0..3).map(|_| self.between(0, 2 * width)).sum();
        middle - width + thrown / 3
    }

    /// One of `count`, as often as its weight says.
    fn weighted(&mut self, count: u64, weight: impl Fn(u64) -> u64) -> u64 {
        let mut left = self.between(0, (0..count).map(&weight).sum());
        let passed = |n: &u64| {
            let is_passed = left >= weight(*n);
            left = left.saturating_sub(if is_passed { weight(*n) } else { 0 });
            is_passed
        };
        u64::try_from((0..count).take_while(passed).count()).unwrap_or_default()
    }

    fn code(&mut self) -> String {
        format!("{:06}", self.between(0, 1_000_000))
    }

    /// An IPv4 address of a user at home.
    fn home(&mut self) -> String {
        Ipv4Addr::from_bits(0x4900_0000 + u32::try_from(self.between(0, 1 << 24)).unwrap_or_default()).to_string()
    }
}

/// The digits of a range, with a `+`.
fn digits(area: u64, block: u64, range: u64) -> String {
    format!("+1{area}{}{range:02}", 20 + block)
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or_default()
}

/// The honest users. A number has one owner.
pub(super) struct People {
    dice: Dice,
    taken: BTreeSet<String>,
}

impl People {
    pub(super) const fn new() -> Self {
        Self { dice: Dice(0x7011_6a7e), taken: BTreeSet::new() }
    }

    /// The days before the attack. On the first, everybody is new.
    pub(super) fn history(&mut self) -> Vec<Visit> {
        let mut visits: Vec<Visit> = vec![];
        for day in 0..HISTORY_DAYS {
            let verified = visits.iter().filter(|visit| visit.verifies_after_ms.is_some());
            let verified: BTreeSet<_> = verified.map(|visit| visit.phone.clone()).collect();
            let verified: Vec<_> = verified.into_iter().collect();
            visits.extend(self.day(FIRST_DAY_MS + day * DAY_MS, &verified));
        }
        visits
    }

    /// A day. The returning users have some of the `approved` numbers.
    pub(super) fn day(&mut self, day_ms: u64, approved: &[String]) -> Vec<Visit> {
        let mut approved = approved.to_vec();
        let returning = RETURNING.min(approved.len());
        let visit = |n: usize| {
            let who = if n < returning { Who::Returning } else { Who::New };
            let phone = if who == Who::Returning {
                let at = self.dice.between(0, approved.len() as u64);
                approved.swap_remove(index(at))
            } else {
                self.new_number()
            };
            let is_in_office = who == Who::New && n - returning < OFFICE;
            let at_ms = day_ms + self.time_of_day(is_in_office);
            self.honest(who, at_ms, phone, is_in_office)
        };
        (0..HONEST).map(visit).collect()
    }

    /// Without a history: the approval that a returning user got on the day before the attack, at any time and at home.
    pub(super) fn before(&mut self, day: &[Visit]) -> Vec<Visit> {
        let returning = day.iter().filter(|visit| visit.who == Who::Returning);
        let visit = |visit: &Visit| {
            let at_ms = ATTACK_MS - DAY_MS + self.dice.between(0, LAST_START_MS);
            let before = self.honest(Who::Before, at_ms, visit.phone.clone(), false);
            let verifies_after_ms = Some(20 * SECOND_MS);
            Visit { verifies_after_ms, mistypes: false, sends_again_after_ms: None, ..before }
        };
        returning.map(visit).collect()
    }

    fn time_of_day(&mut self, is_in_office: bool) -> u64 {
        let dice = &mut self.dice;
        match (is_in_office, dice.between(0, 20)) {
            // Behind the office's IP: six of ten sign in around nine, two after lunch, two at any time of work.
            (true, 0..12) => dice.near(9 * HOUR_MS, 75 * MINUTE_MS),
            (true, 12..16) => dice.near(13 * HOUR_MS, 75 * MINUTE_MS),
            (true, _) => dice.between(8 * HOUR_MS, 18 * HOUR_MS),
            // The others: nine of ten by day.
            (false, 0..18) => dice.between(7 * HOUR_MS, 23 * HOUR_MS),
            (false, _) => dice.between(0, LAST_START_MS),
        }
    }

    /// 85 % verify, 4 % mistype once, and a quarter taps "send again" if the code takes them too long.
    fn honest(&mut self, who: Who, at_ms: u64, phone: String, is_in_office: bool) -> Visit {
        let dice = &mut self.dice;
        let ip = if is_in_office { OFFICE_IP.to_owned() } else { dice.home() };
        // From 10 seconds to two minutes, half of them within 38 seconds.
        let slowness = dice.between(0, 1_000);
        let after_ms = 10 * SECOND_MS + 110 * slowness * slowness / SECOND_MS;
        Visit {
            who,
            at_ms,
            phone,
            ip,
            codes: [dice.code(), dice.code()],
            verifies_after_ms: (dice.between(0, 20) < 17).then_some(after_ms),
            mistypes: dice.between(0, 25) == 0,
            sends_again_after_ms: (dice.between(0, 4) == 0).then(|| SEND_AGAIN_MS + dice.between(0, 30 * SECOND_MS)),
        }
    }

    /// Areas are as busy as Zipf's law says, 1, 1/2, 1/3 …, and their blocks as its square root.
    fn new_number(&mut self) -> String {
        loop {
            let area = self.dice.weighted(20, |rank| 1_000_000 / (rank + 1));
            let block = self.dice.weighted(BLOCKS, |rank| 1_000_000 / ((rank + 1) * 10_000).isqrt());
            let range = digits(AREA_CODES[index(area)], block, self.dice.between(0, 100));
            let phone = format!("{range}{:03}", self.dice.between(FIRST_HONEST, 1_000));
            if self.taken.insert(phone.clone()) {
                return phone;
            }
        }
    }
}

/// A day of pumping: each number is asked for several times within minutes, and nobody types a code.
pub(super) fn pumping(shape: &Shape, addresses: Addresses) -> Vec<Visit> {
    let mut dice = Dice(0x0bad_5eed);
    let mut visits = vec![];
    let ranges = shape.range_count();
    for n in 0..if ranges == 0 { 0 } else { PUMPED } {
        let phone = format!("{}{:03}", shape.range(n % ranges), n / ranges);
        let mut at_ms = ATTACK_MS + dice.between(0, DAY_MS - ATTEMPTS * 5 * MINUTE_MS);
        for _ in 0..ATTEMPTS {
            visits.push(Visit {
                who: Who::Pumper,
                at_ms,
                phone: phone.clone(),
                ip: addresses.address(visits.len() as u64),
                codes: [dice.code(), String::new()],
                verifies_after_ms: None,
                mistypes: false,
                sends_again_after_ms: None,
            });
            at_ms += dice.between(35 * SECOND_MS, 5 * MINUTE_MS);
        }
    }
    visits
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::phone::number::PhoneNumber;
    use shared::phone::policy::Policy;
    use shared::runtime::ip::ClientIp;
    use shared::runtime::settings::Environment;

    const SHAPES: [Shape; 6] =
        [Shape::NO_ATTACK, Shape::ADJACENT, Shape::THREE, Shape::TWENTY, Shape::HUNDRED, Shape::ELSEWHERE];

    /// The distinct first digits of numbers, without the last ones.
    fn without_last(visits: &[Visit], digits: usize) -> BTreeSet<&str> {
        visits.iter().map(|visit| &visit.phone[..visit.phone.len() - digits]).collect()
    }

    #[test]
    fn every_number_is_valid_and_allowed_and_none_is_both_honest_and_pumped() {
        let policy = Policy::from_environment(&Environment::default()).unwrap();
        let mut people = People::new();
        let honest: Vec<_> = people.history().into_iter().chain(people.day(ATTACK_MS, &[])).collect();
        let honest_numbers = without_last(&honest, 0);
        for shape in SHAPES {
            let pumped = pumping(&shape, Addresses::Botnet);
            for phone in without_last(&pumped, 0).into_iter().step_by(10) {
                let number = PhoneNumber::parse(phone).unwrap_or_else(|error| panic!("{phone}: {error}"));
                assert!(policy.check(&number).is_ok(), "{phone}");
            }
            assert!(honest_numbers.is_disjoint(&without_last(&pumped, 0)), "{}", shape.name);
        }
        // One of ten, and so of each area code and block: parsing takes its time.
        for phone in honest_numbers.into_iter().step_by(10) {
            assert!(policy.check(&PhoneNumber::parse(phone).unwrap()).is_ok(), "{phone}");
        }
    }

    #[test]
    fn shapes_have_the_blocks_and_ranges_of_their_names() {
        let mut people = People::new();
        let honest = people.day(ATTACK_MS, &[]);
        let honest_areas = without_last(&honest, 7);
        for (shape, blocks, ranges, in_honest_areas) in [
            (Shape::NO_ATTACK, 0, 0, true),
            (Shape::ADJACENT, 1, 20, true),
            (Shape::THREE, 3, 102, true),
            (Shape::TWENTY, 20, 100, true),
            (Shape::HUNDRED, 100, 500, true),
            (Shape::ELSEWHERE, 500, 500, false),
        ] {
            let pumped = pumping(&shape, Addresses::Botnet);
            assert_eq!(pumped.len(), if ranges == 0 { 0 } else { 15_000 }, "{}", shape.name);
            assert_eq!(without_last(&pumped, 5).len(), blocks, "{}", shape.name);
            assert_eq!(without_last(&pumped, 3).len(), ranges, "{}", shape.name);
            let areas = without_last(&pumped, 7);
            assert_eq!(areas.is_subset(&honest_areas), in_honest_areas, "{}", shape.name);
            assert_eq!(areas.is_disjoint(&honest_areas), !in_honest_areas || areas.is_empty(), "{}", shape.name);
        }
    }

    #[test]
    fn no_pumped_request_shares_its_address_and_a_botnet_not_its_network() {
        for (addresses, networks) in [(Addresses::Botnet, 15_000), (Addresses::Ipv6Network, 1)] {
            let ips = pumping(&Shape::THREE, addresses);
            let ips: Vec<_> = ips.iter().map(|visit| ClientIp::parse(&visit.ip).unwrap()).collect();
            assert_eq!(ips.iter().map(ClientIp::canonical).collect::<BTreeSet<_>>().len(), 15_000);
            assert_eq!(ips.iter().map(ClientIp::network).collect::<BTreeSet<_>>().len(), networks);
        }
    }

    #[test]
    fn honest_users_verify_return_and_send_again_as_often_as_documented() {
        let mut people = People::new();
        let history = people.history();
        let known: Vec<_> = without_last(&history, 0).into_iter().map(str::to_owned).collect();
        let day = people.day(ATTACK_MS, &known);
        let before = people.before(&day);
        let percent = |is: &dyn Fn(&Visit) -> bool| day.iter().filter(|visit| is(visit)).count() * 100 / day.len();
        assert_eq!(day.len(), 2_000);
        assert_eq!(percent(&|visit| visit.who == Who::Returning), 40);
        assert_eq!(day.iter().filter(|visit| visit.ip == OFFICE_IP && visit.who == Who::New).count(), 300);
        assert!((83..=87).contains(&percent(&|visit| visit.verifies_after_ms.is_some())));
        assert!((23..=27).contains(&percent(&|visit| visit.sends_again_after_ms.is_some())));
        assert!((3..=5).contains(&percent(&|visit| visit.mistypes)));
        assert_eq!(without_last(&day, 0).len(), 2_000, "a number has two owners");
        assert_eq!(before.len(), 800);
        assert!(before.iter().all(|visit| visit.at_ms < ATTACK_MS && known.contains(&visit.phone)));
        // Another run is the same.
        let again = People::new().history();
        assert!(
            history
                .iter()
                .map(|visit| (&visit.phone, visit.at_ms))
                .eq(again.iter().map(|visit| (&visit.phone, visit.at_ms)))
        );
    }
}
