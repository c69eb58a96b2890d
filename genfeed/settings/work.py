"""What is asked for and done: estimates, deadlines, recommendations, keys, limits, jobs, webhooks and notices."""

from genfeed import env
from genfeed.net.signing import new_secret
from genfeed.settings.installation import VAR_DIR

# --- Estimates and choosing a model ----------------------------------------------------------------------------------
PROBE_SECONDS = env.number("PROBE_SECONDS", 4.0, minimum=0.5, maximum=30.0)
# Seconds of the video that an estimate tells of where nothing says how long it will be.
ASSUMED_VIDEO_SECONDS = env.integer("ASSUMED_VIDEO_SECONDS", 6, minimum=1, maximum=3600)
# USD per output that the words low, medium and high of a budget stand for.
BUDGET_LOW = env.amount("BUDGET_LOW", "0.01")
BUDGET_MEDIUM = env.amount("BUDGET_MEDIUM", "0.05")
BUDGET_HIGH = env.amount("BUDGET_HIGH", "0.20")
# Deadlines in seconds, of the whole job from its submission, time in the provider's queue apart. Videos: under 5 s, up
# to 10 s, longer.
FAL_TIMEOUT_IMAGE = env.integer("FAL_TIMEOUT_IMAGE", 60, minimum=1, maximum=86_400)
FAL_TIMEOUT_UPSCALE = env.integer("FAL_TIMEOUT_UPSCALE", 90, minimum=1, maximum=86_400)
FAL_TIMEOUT_VIDEO_SHORT = env.integer("FAL_TIMEOUT_VIDEO_SHORT", 180, minimum=1, maximum=86_400)
FAL_TIMEOUT_VIDEO = env.integer("FAL_TIMEOUT_VIDEO", 300, minimum=1, maximum=86_400)
FAL_TIMEOUT_VIDEO_LONG = env.integer("FAL_TIMEOUT_VIDEO_LONG", 600, minimum=1, maximum=86_400)
# Deadlines of kinds of work that have none of their own, in seconds.
DEADLINE_TRAINING_SECONDS = env.integer("DEADLINE_TRAINING_SECONDS", 7200, minimum=60, maximum=86_400)
DEADLINE_OTHER_SECONDS = env.integer("DEADLINE_OTHER_SECONDS", 600, minimum=10, maximum=86_400)

# --- Recommendations -------------------------------------------------------------------------------------------------
# Figures of fewer jobs in 30 days recommend nothing.
RECOMMEND_MIN_JOBS = env.integer("RECOMMEND_MIN_JOBS", 20, minimum=1, maximum=1_000_000)
RECOMMEND_FAILURE_PERCENT = env.number("RECOMMEND_FAILURE_PERCENT", 25.0, minimum=1.0, maximum=100.0)
RECOMMEND_MARGIN_PERCENT = env.number("RECOMMEND_MARGIN_PERCENT", 50.0, minimum=0.0, maximum=99.0)
RECOMMEND_MIN_REFUSED = env.integer("RECOMMEND_MIN_REFUSED", 10, minimum=1, maximum=1_000_000)
RECOMMEND_MIN_THROTTLED = env.integer("RECOMMEND_MIN_THROTTLED", 50, minimum=1, maximum=1_000_000)
RECOMMEND_CHEAPER_PERCENT = env.number("RECOMMEND_CHEAPER_PERCENT", 10.0, minimum=1.0, maximum=99.0)
RECOMMEND_UNUSED_DAYS = env.integer("RECOMMEND_UNUSED_DAYS", 90, minimum=7, maximum=1000)
# What was dismissed or undone is not recommended again for so long.
RECOMMEND_QUIET_DAYS = env.integer("RECOMMEND_QUIET_DAYS", 30, minimum=1, maximum=1000)

# --- API keys --------------------------------------------------------------------------------------------------------
KEY_ROTATION_DAYS = env.integer("KEY_ROTATION_DAYS", 90, minimum=0, maximum=3650)
MAX_KEYS = env.integer("MAX_KEYS", 50, minimum=1, maximum=10_000)

# --- Limits of clients that have none of their own -------------------------------------------------------------------
JOBS_PER_MINUTE = env.integer("JOBS_PER_MINUTE", 60, minimum=0, maximum=1_000_000)
READS_PER_MINUTE = env.integer("READS_PER_MINUTE", 6000, minimum=0, maximum=10_000_000)
MAX_IN_FLIGHT = env.integer("MAX_IN_FLIGHT", 10, minimum=0, maximum=100_000)
MAX_QUEUED = env.integer("MAX_QUEUED", 100, minimum=0, maximum=1_000_000)
# Jobs of batches, waiting and in flight together: they have a queue of their own, and share the places in flight.
MAX_OPEN_IN_BATCHES = env.integer("MAX_OPEN_IN_BATCHES", 1000, minimum=0, maximum=1_000_000)
MAX_OPEN_WORKFLOWS = env.integer("MAX_OPEN_WORKFLOWS", 100, minimum=0, maximum=100_000)

# --- Jobs ------------------------------------------------------------------------------------------------------------
# Our own requests at a provider at once, by one key; what is beyond waits in our queue.
REPLICATE_MAX_CONCURRENT = env.integer("REPLICATE_MAX_CONCURRENT", 40, minimum=1, maximum=100_000)
FAL_MAX_CONCURRENT = env.integer("FAL_MAX_CONCURRENT", 40, minimum=1, maximum=100_000)
DISPATCH_THREADS = env.integer("DISPATCH_THREADS", 32, minimum=1, maximum=512)
# For how long a dispatcher has a job to itself, in seconds; a dead one's jobs are taken up by others after that.
CLAIM_LEASE_SECONDS = env.number("CLAIM_LEASE_SECONDS", 90.0, minimum=0.5, maximum=3_600.0)
# How long a job may wait in our own queue, one of a batch, and how long an unclear submit is looked for, in seconds.
QUEUE_TIMEOUT_SECONDS = env.integer("QUEUE_TIMEOUT_SECONDS", 900, minimum=5, maximum=86_400)
BATCH_QUEUE_TIMEOUT_SECONDS = env.integer("BATCH_QUEUE_TIMEOUT_SECONDS", 86_400, minimum=5, maximum=604_800)
SUBMIT_GRACE_SECONDS = env.integer("SUBMIT_GRACE_SECONDS", 120, minimum=1, maximum=3_600)
# How long a step of a workflow waits for money, a place or a provider before it fails, in seconds.
WORKFLOW_PATIENCE_SECONDS = env.integer("WORKFLOW_PATIENCE_SECONDS", 3_600, minimum=0, maximum=604_800)
# One call to the provider's queue, in seconds: a submit, and a look at the status.
SUBMIT_TIMEOUT_SECONDS = env.number("SUBMIT_TIMEOUT_SECONDS", 30.0, minimum=0.1, maximum=300.0)
STATUS_TIMEOUT_SECONDS = env.number("STATUS_TIMEOUT_SECONDS", 5.0, minimum=0.1, maximum=60.0)
# Results that clients let be used again: for how many seconds (0: never), and what that costs, in percent of the price.
CACHE_RESULT_SECONDS = env.integer("CACHE_RESULT_SECONDS", 604_800, minimum=0, maximum=315_360_000)
CACHE_PRICE_PERCENT = env.integer("CACHE_PRICE_PERCENT", 0, minimum=0, maximum=100)
# How long the provider keeps its own copy of outputs, in seconds: ours is the one that lasts.
FAL_OBJECT_SECONDS = env.integer("FAL_OBJECT_SECONDS", 604_800, minimum=3_600, maximum=31_536_000)
# What providers answered is kept beside each job for so many days, for staff.
PROVIDER_ANSWER_DAYS = env.integer("PROVIDER_ANSWER_DAYS", 30, minimum=1, maximum=3650)
# What a request may ask for at most, where the model would take more; 0 means no cap.
MAX_PROMPT_CHARACTERS = env.integer("MAX_PROMPT_CHARACTERS", 2000, minimum=0, maximum=1_000_000)
MAX_IMAGES = env.integer("MAX_IMAGES", 16, minimum=0, maximum=1000)
MAX_MEGAPIXELS = env.integer("MAX_MEGAPIXELS", 64, minimum=0, maximum=10_000)
MAX_SECONDS = env.integer("MAX_SECONDS", 600, minimum=0, maximum=86_400)
MAX_FRAMES = env.integer("MAX_FRAMES", 10_000, minimum=0, maximum=1_000_000)

# --- Webhooks to clients ---------------------------------------------------------------------------------------------
WEBHOOK_THREADS = env.integer("WEBHOOK_THREADS", 16, minimum=1, maximum=256)
MAX_WEBHOOK_ENDPOINTS = env.integer("MAX_WEBHOOK_ENDPOINTS", 20, minimum=0, maximum=10_000)

# --- Notices ---------------------------------------------------------------------------------------------------------
MAILERS = env.mailers("EMAIL_URL")
# Sending no mail is a choice, not a mistake.
SILENCED_SYSTEM_CHECKS = ["mail.E001"]
SENDS_MAIL = not MAILERS["default"]["BACKEND"].endswith("dummy.EmailBackend")
EMAIL_FROM = env.text("EMAIL_FROM") or "genfeed@localhost"
DEFAULT_FROM_EMAIL = EMAIL_FROM
ALERT_EMAILS = env.words("ALERT_EMAILS")
ALERT_WEBHOOK_URL = env.base_url("ALERT_WEBHOOK_URL", "")
ALERT_WEBHOOK_SECRET = (
    env.secret("ALERT_WEBHOOK_SECRET", VAR_DIR / "alert_webhook_secret", new_secret) if ALERT_WEBHOOK_URL else ""
)
ALERT_LEVEL = env.choice("ALERT_LEVEL", "warning", ("info", "warning", "critical"))
