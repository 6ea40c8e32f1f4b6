//! The words of a [phrase](super::phrase::Phrase): short, concrete and easy to spell, and none that asks for something, such as "stop".
//!
//! Two of them differ in more than one letter, so a slip of the finger makes no other word. None ends in another, so a phrase without its
//! spaces still reads one way only.

/// 1,024 words, in alphabetical order. A changed list voids the phrases that are open when it is deployed.
#[rustfmt::skip]
pub(super) const WORDS: [&str; 1024] = [
    "acorn", "actor", "adobe", "agent", "album", "algebra", "alley", "almond", "alpine", "amber", "anchor", "angle", "animal", "anthem",
    "antique", "antler", "apple", "apricot", "apron", "aquarium", "arch", "archive", "arctic", "arena", "armor", "arrow", "artist", "aspen",
    "asphalt", "asteroid", "atlas", "attic", "auburn", "aunt", "author", "autumn", "avenue", "avocado", "award", "bacon", "badge", "bagel",
    "baker", "balcony", "ballad", "ballet", "balsam", "bamboo", "banana", "banjo", "barber", "barista", "barley", "barn", "barrel", "basil",
    "basket", "bassoon", "battery", "bayou", "bazaar", "beach", "beaver", "beetle", "bellhop", "bellows", "berry", "bicycle", "birch",
    "biscuit", "bishop", "bison", "blanket", "blossom", "blue", "boat", "bobbin", "bobcat", "bodega", "bonfire", "bonnet", "bookcase",
    "boomerang", "border", "botanist", "bottle", "boulder", "bouquet", "bowl", "bracelet", "bramble", "branch", "brass", "bread", "breeze",
    "brick", "bridge", "broccoli", "bronze", "brooch", "broom", "brother", "brush", "bubble", "bucket", "buckle", "buffalo", "bugle",
    "builder", "bunny", "burger", "burgundy", "burlap", "burrow", "butcher", "butter", "button", "buttress", "cabbage", "cabin", "cable",
    "cactus", "calico", "camel", "camera", "canal", "canary", "candle", "candy", "cannon", "canoe", "canteen", "canvas", "captain",
    "capybara", "caramel", "caravan", "carbon", "cardigan", "cardinal", "carnival", "carousel", "carpet", "carrot", "cashew", "castle",
    "catalog", "catfish", "cathedral", "cavern", "cedar", "celery", "cellar", "cello", "cement", "ceramic", "cereal", "chain", "chalk",
    "channel", "chapel", "charcoal", "chariot", "cheese", "cheetah", "cherry", "cherub", "chess", "chestnut", "chicken", "chickpea",
    "chimney", "chipmunk", "chisel", "chorus", "cider", "cilantro", "cinema", "cinnamon", "circle", "circus", "citadel", "citrus", "city",
    "clarinet", "clay", "clinic", "clock", "cloud", "clover", "cluster", "coach", "coast", "cobalt", "cobbler", "cobra", "cockatoo",
    "cockpit", "cocoa", "coconut", "coffee", "coleslaw", "college", "comet", "comic", "compass", "compost", "concert", "condor", "confetti",
    "cookie", "copper", "coral", "corner", "cornmeal", "corridor", "cottage", "cotton", "cougar", "council", "country", "courier", "cousin",
    "coyote", "crab", "cradle", "crane", "crater", "crayon", "cream", "crescent", "cricket", "crimson", "crocus", "croissant", "crown",
    "cruise", "crumb", "crystal", "cuckoo", "cucumber", "cupcake", "currant", "curtain", "cushion", "cymbal", "cypress", "dachshund",
    "daffodil", "dahlia", "daisy", "dancer", "decimal", "denim", "dentist", "desert", "diamond", "diary", "dinghy", "dinner", "doctor",
    "dolomite", "dolphin", "domino", "donkey", "dragon", "drawer", "driver", "drum", "duck", "dumpling", "dune", "dungeon", "dwarf",
    "eagle", "earring", "earth", "easel", "echo", "eclair", "editor", "eggplant", "elbow", "elder", "elephant", "elevator", "emerald",
    "emperor", "empire", "enamel", "engine", "envelope", "envoy", "epoch", "equator", "eraser", "evening", "fabric", "factory", "falafel",
    "falcon", "family", "farmer", "feather", "fence", "fender", "fennel", "festival", "fiddle", "field", "figure", "filament", "filter",
    "finch", "finger", "firefly", "fireman", "fjord", "flag", "flamingo", "flannel", "flask", "flavor", "fleece", "flint", "florist",
    "flour", "flower", "flute", "foal", "foghorn", "folder", "forest", "fork", "fossil", "fountain", "freckle", "frog", "frost", "fruit",
    "furnace", "galaxy", "gallery", "garage", "garden", "gargoyle", "garlic", "garnet", "gazebo", "gazelle", "gecko", "geranium", "geyser",
    "gingham", "giraffe", "girder", "glacier", "glass", "glider", "glove", "goblet", "golden", "goldfish", "gondola", "goose", "gorilla",
    "gourd", "grain", "granite", "granola", "grape", "gravel", "gravity", "green", "grizzly", "grocer", "grotto", "guitar", "gumdrop",
    "habit", "hacksaw", "hairpin", "halibut", "hallway", "hammer", "hammock", "hamster", "handbag", "harbor", "harness", "harp", "harvest",
    "hatchet", "haystack", "hazel", "hazelnut", "headband", "hedge", "helium", "helmet", "hemlock", "hermit", "heron", "herring", "hexagon",
    "hibiscus", "highway", "hockey", "holiday", "hollow", "honey", "hoop", "horizon", "hornet", "horse", "hotel", "humming", "hunter",
    "husky", "hyacinth", "hydrant", "hyena", "iceberg", "icicle", "igloo", "indigo", "inkblot", "inkwell", "inlet", "insect", "island",
    "ivory", "jackal", "jacket", "jaguar", "jalapeno", "jamboree", "jasmine", "javelin", "jelly", "jersey", "jewel", "jigsaw", "journal",
    "judge", "juggler", "juice", "jukebox", "jungle", "juniper", "jupiter", "jury", "kangaroo", "kayak", "kernel", "kestrel", "ketchup",
    "kettle", "keyboard", "kidney", "kimono", "kingdom", "kiosk", "kitchen", "kitten", "kiwi", "knight", "koala", "label", "lacquer",
    "ladder", "ladle", "ladybug", "lagoon", "lake", "lamb", "landmark", "lantern", "laptop", "laser", "latitude", "lattice", "laundry",
    "lava", "lavender", "lawyer", "leaf", "lemon", "lemur", "lentil", "leopard", "lettuce", "library", "lichen", "lighter", "lilac", "lily",
    "lime", "limerick", "linen", "lion", "lizard", "llama", "lobby", "lobster", "locket", "locust", "lodge", "lotus", "lullaby", "lumber",
    "lunch", "lynx", "macaroon", "macaw", "machine", "mackerel", "magenta", "magic", "magnet", "magnolia", "magpie", "mahjong", "mahogany",
    "mailbox", "mammoth", "mandolin", "mango", "mansion", "mantle", "maple", "marble", "margin", "marigold", "marina", "market", "marmot",
    "maroon", "marsh", "mascot", "mason", "mattress", "meadow", "medal", "meerkat", "melody", "melon", "memory", "mentor", "menu",
    "mercury", "merlin", "mermaid", "meteor", "midnight", "miller", "minaret", "mineral", "mint", "mirror", "model", "molasses", "molecule",
    "monsoon", "monument", "moon", "moonbeam", "morning", "mosaic", "moss", "motor", "mouse", "muffin", "museum", "mushroom", "music",
    "mustard", "napkin", "narwhal", "nation", "nature", "navy", "nebula", "necklace", "nectar", "needle", "nephew", "neptune", "nest",
    "nickel", "noodle", "north", "notebook", "nougat", "novel", "nugget", "nurse", "nutmeg", "nutshell", "oasis", "oatcake", "oatmeal",
    "obelisk", "object", "oboe", "ocean", "octopus", "office", "olive", "omelet", "onion", "opal", "opera", "orange", "orbit", "orchard",
    "orchid", "oregano", "organ", "origami", "oriole", "osprey", "ostrich", "otter", "ottoman", "outback", "outpost", "oven", "overcoat",
    "oxygen", "oyster", "package", "paddle", "padlock", "painter", "palace", "palm", "pancake", "panda", "panorama", "panther", "papaya",
    "paper", "paprika", "parade", "parcel", "parsley", "parsnip", "pasta", "pastry", "patio", "peacock", "peanut", "pearl", "pebble",
    "pecan", "pelican", "pencil", "pendant", "penguin", "peony", "pepper", "perfume", "pergola", "petal", "petunia", "pewter", "pharmacy",
    "phoenix", "piano", "pickle", "picnic", "picture", "pigeon", "pilgrim", "pillow", "pilot", "pinecone", "pioneer", "pirate", "pixel",
    "pizza", "planet", "plank", "plaster", "plate", "plateau", "platinum", "platypus", "player", "plaza", "plum", "poem", "polar", "polish",
    "pomelo", "pond", "popcorn", "poppy", "porch", "portrait", "postcard", "potato", "pottery", "powder", "prairie", "present", "pretzel",
    "prince", "prism", "profile", "pueblo", "pulley", "puma", "pumpkin", "puppet", "purple", "puzzle", "pyramid", "python", "quail",
    "quarry", "quarter", "quartz", "queen", "quest", "quiche", "quilt", "quince", "quiver", "quokka", "rabbit", "raccoon", "radar",
    "radiator", "radio", "radish", "raft", "railway", "rainbow", "raindrop", "raisin", "rancher", "raven", "ravioli", "recipe", "reef",
    "referee", "region", "reindeer", "relay", "resort", "rhino", "rhubarb", "ribbon", "rice", "ricotta", "riverbed", "rivulet", "roadster",
    "robin", "robot", "romaine", "rooster", "rope", "rosemary", "rover", "rowan", "royal", "rubber", "ruby", "rudder", "runner", "russet",
    "saffron", "sailor", "salad", "salmon", "salt", "salute", "sandal", "sandwich", "sapphire", "sardine", "satchel", "satin", "saturn",
    "saucer", "sausage", "savanna", "sawmill", "scallop", "scarf", "scarlet", "scenery", "school", "science", "scissors", "scooter",
    "scout", "screen", "sculptor", "seagull", "seashell", "season", "seaweed", "senator", "sequoia", "sesame", "shadow", "shampoo",
    "shamrock", "shark", "sheep", "shelf", "sheriff", "shield", "ship", "shore", "shovel", "shower", "shrimp", "sidewalk", "silk",
    "silkworm", "silver", "sister", "skate", "sketch", "skunk", "skylark", "sled", "sleeve", "slipper", "sloth", "snail", "snow",
    "snowball", "soap", "soccer", "sofa", "soldier", "solo", "solstice", "songbird", "sorbet", "south", "spatula", "spectrum", "sphere",
    "spider", "spinach", "spiral", "sponge", "spoon", "spring", "spruce", "square", "squid", "squirrel", "stable", "stadium", "stardust",
    "starfish", "station", "statue", "steam", "steel", "stencil", "stereo", "stone", "stork", "straw", "street", "student", "studio",
    "sugar", "suitcase", "summer", "sundial", "sunset", "surfer", "swallow", "swan", "sweater", "swing", "sycamore", "symbol", "syrup",
    "tablet", "tadpole", "talent", "tapestry", "target", "taxi", "teacher", "teapot", "temple", "tennis", "tent", "teriyaki", "terrace",
    "theater", "thermos", "thimble", "thistle", "throne", "thunder", "thyme", "ticket", "tiger", "timber", "tinfoil", "tinsel", "toboggan",
    "toddler", "tomato", "topaz", "topsoil", "tornado", "tortilla", "tortoise", "toucan", "towel", "traffic", "trailer", "tram", "trapeze",
    "treasure", "tree", "treetop", "tribune", "tricycle", "trolley", "trombone", "trophy", "trout", "truck", "truffle", "trumpet", "tuba",
    "tulip", "tundra", "tunnel", "turbine", "turkey", "turnip", "turtle", "tuxedo", "tweed", "twig", "twilight", "typhoon", "ukulele",
    "umbrella", "unicorn", "uniform", "universe", "urban", "urchin", "vacuum", "vanilla", "vapor", "vase", "vault", "vehicle", "velvet",
    "vendor", "veranda", "viaduct", "village", "vinegar", "vineyard", "vintage", "violet", "violin", "viper", "vision", "volcano", "volume",
    "voyage", "vulture", "waffle", "wagon", "waiter", "walkway", "walnut", "walrus", "waltz", "warbler", "wasabi", "watch", "wedding",
    "wetland", "whale", "wheat", "wheel", "whisker", "wicker", "widget", "wildcat", "windmill", "window", "windsock", "winter", "wolf",
    "wombat", "wonder", "wood", "woodland", "workshop", "wren", "wrench", "yacht", "yellow", "yogurt", "zebra", "zenith", "zephyr",
    "zigzag", "zinc", "zipper", "zodiac", "zucchini",
];

#[cfg(test)]
mod tests {
    use super::WORDS;
    use crate::twilio::keywords::Keyword;

    /// Whether one letter replaced, added, left out or swapped with its neighbor makes one word the other.
    fn is_near(a: &str, b: &str) -> bool {
        let (a, b) = if a.len() <= b.len() { (a.as_bytes(), b.as_bytes()) } else { (b.as_bytes(), a.as_bytes()) };
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        match b.len() - a.len() {
            0 if same == a.len() => true,
            0 if a[same + 1..] == b[same + 1..] => true,
            0 => {
                a.len() > same + 1 && (a[same], a[same + 1]) == (b[same + 1], b[same]) && a[same + 2..] == b[same + 2..]
            }
            1 => a[same..] == b[same + 1..],
            _ => false,
        }
    }

    #[test]
    fn words_are_short_and_differ_in_more_than_one_letter() {
        assert!(WORDS.is_sorted());
        for (at, word) in WORDS.iter().enumerate() {
            assert!((4..=9).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
            for other in &WORDS[at + 1..] {
                assert!(!is_near(word, other), "{word} and {other}");
                assert!(!word.ends_with(other) && !other.ends_with(word), "{word} and {other}");
            }
        }
    }

    #[test]
    fn no_word_is_a_keyword() {
        for word in WORDS {
            assert_eq!(Keyword::of_message(None, word), None, "{word}");
        }
    }
}
