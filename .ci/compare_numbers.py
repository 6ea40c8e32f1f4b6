"""Compares 30,000 phone numbers of all regions with PyPI's newest `phonenumbers`, and prints every class of difference.

    python3 -m venv target/ci/numbers && target/ci/numbers/bin/pip install --quiet --upgrade phonenumbers
    cargo build --example numbers && target/ci/numbers/bin/python .ci/compare_numbers.py target/debug/examples/numbers

A number of a range that is new to Tollgate is `unassigned` there, which is no refusal.

The numbers are drawn from the patterns of the newest metadata, so that each branch of a pattern is met, also one that was added
yesterday. It fails if a mobile number that is assigned is refused: then `cargo update rlibphonenumber` and run it again.
"""

import random
import subprocess
import sys
from collections import Counter, defaultdict

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberFormat, PhoneNumberType

try:
    from re import _parser as parser
except ImportError:  # Python 3.10 and older
    import sre_parse as parser

COUNT = 30_000
MOBILE = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
TYPES = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "fixed_line",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_line_or_mobile",
    PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.PREMIUM_RATE: "premium_rate",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.PERSONAL_NUMBER: "personal",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "uan",
    PhoneNumberType.VOICEMAIL: "voicemail",
}
DESCRIPTIONS = ["mobile", "mobile", "mobile", "fixed_line", "voip", "toll_free", "premium_rate", "personal_number"]


def draw(parsed, rng):
    """A text that a pattern of the metadata matches: digits, sets, alternatives and repetitions are all that these have."""
    text = ""
    for operation, argument in parsed:
        name = str(operation)
        if name == "LITERAL":
            text += chr(argument)
        elif name == "IN":
            text += rng.choice([digit for item in argument for digit in digits(item)])
        elif name == "BRANCH":
            text += draw(rng.choice(argument[1]), rng)
        elif name == "SUBPATTERN":
            text += draw(argument[-1], rng)
        elif name == "MAX_REPEAT":
            fewest, most, repeated = argument
            text += "".join(draw(repeated, rng) for _ in range(rng.randint(fewest, min(most, fewest + 10))))
        else:
            raise ValueError(f"a pattern with {name}")
    return text


def digits(item):
    name, argument = str(item[0]), item[1]
    if name == "LITERAL":
        return [chr(argument)]
    if name == "RANGE":
        return [chr(code) for code in range(argument[0], argument[1] + 1)]
    return list("0123456789")  # \d


def numbers(rng):
    """Numbers of every region and of every code of no country, each valid by the newest metadata or one digit away from it."""
    places = [PhoneMetadata.metadata_for_region(region) for region in sorted(phonenumbers.SUPPORTED_REGIONS)]
    places += [PhoneMetadata.metadata_for_nongeo_region(code) for code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS]
    while True:
        for metadata in places:
            pattern = getattr(metadata, rng.choice(DESCRIPTIONS))
            if not pattern or not pattern.national_number_pattern:
                continue
            national = draw(parser.parse(pattern.national_number_pattern), rng)
            if rng.random() < 0.2:
                at = rng.randrange(len(national))
                national = national[:at] + rng.choice("0123456789") + national[at + 1 :]
            yield f"+{metadata.country_code}{national}"


def theirs(text):
    """The number, its region and its type by the newest metadata; None if it is not valid."""
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    region = phonenumbers.region_code_for_number(number)
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return e164, "none" if region == "001" else region, phonenumbers.number_type(number)


def difference(text, ours):
    """The class of difference between the two opinions, and whether it refuses an assigned mobile number; None if they agree."""
    new = theirs(text)
    if new is None:
        return (f"accepted here only, as {ours[2]}", False) if ours[0] != "-" else None
    e164, region, number_type = new
    kind = TYPES.get(number_type, "unknown")
    if ours[0] == "-":
        too_long = len(e164) > len("+") + 15  # more than E.164 allows, which no network takes
        return f"{kind} refused here, which {ours[2].split(';')[0]}", number_type in MOBILE and not too_long
    if ours[0] != e164:
        return "another spelling", False
    if ours[1] != region:
        return f"of {ours[1]} here and of {region} there", False
    return (f"{ours[2]} here and {kind} there", False) if ours[2] != kind else None


def main():
    drawn, rng = set(), random.Random(1)
    for number in numbers(rng):
        drawn.add(number)
        if len(drawn) == COUNT:
            break
    drawn = sorted(drawn)
    lines = subprocess.run(sys.argv[1:], input="\n".join(drawn), text=True, capture_output=True, check=True).stdout
    classes, examples, mobile = Counter(), defaultdict(list), 0
    for text, line in zip(drawn, lines.splitlines(), strict=True):
        found = difference(text, line.split("\t"))
        if found:
            name, is_mobile = found
            classes[name] += 1
            examples[name].append(text)
            mobile += is_mobile
    valid = sum(theirs(text) is not None for text in drawn)
    print(f"phonenumbers {phonenumbers.__version__}: {len(drawn)} numbers, {valid} of them valid there")
    for name, count in classes.most_common():
        some = rng.sample(examples[name], min(3, count))
        print(f"{count:6} {name}, such as {', '.join(some)}")
    if mobile:
        sys.exit(f"{mobile} mobile numbers that are assigned are refused")


main()
