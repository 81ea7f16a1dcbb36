/*
 * Keeps a tally of the words that it is told, over all turns of a thread. What
 * it knows it keeps in the thread's values and nowhere else: a key for every
 * word, so that a turn writes only what it changed, and "forget" removes keys.
 */
#include <ap/sugar.h>

#define MAX_WORDS 1000
#define MAX_WORD  64
#define PREFIX    "count:" /* of the keys, so that no word is taken for something else */

struct word {
	ap_str text; /* lower case; needs no escaping in JSON */
	int64_t times; /* in this message */
	int64_t total; /* in the thread, this message included */
};

struct tally {
	ap_run *run;
	ap_buf text; /* of the message; the words are slices of it */
	struct word words[MAX_WORDS]; /* in alphabetical order, each once */
	size_t n;
	int64_t turns;
};

/* The next word of a text, made lower case in place; empty at the end. */
static ap_str next_word(ap_buf *text, size_t *at)
{
	size_t start;

	for (;;) {
		for (start = *at; *at < text->len; ++*at) {
			unsigned char c = (unsigned char)text->ptr[*at];

			if (c >= 'A' && c <= 'Z')
				text->ptr[*at] = (char)(c - 'A' + 'a');
			else if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c < 0x80)
				break;
		}
		if (*at > start || *at == text->len)
			return ap_mem(text->ptr + start, *at - start);
		++*at;
	}
}

static int compare_texts(ap_str a, ap_str b)
{
	int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_words(const void *a, const void *b)
{
	return compare_texts(((const struct word *)a)->text, ((const struct word *)b)->text);
}

/* Finds the words of the message; AP_E_LIMIT if there are too many. */
static ap_status find_words(struct tally *tally, size_t at)
{
	size_t n = 0;
	ap_str text;

	while ((text = next_word(&tally->text, &at)).len) {
		if (text.len > MAX_WORD)
			continue;
		if (tally->n == MAX_WORDS)
			return AP_E_LIMIT;
		tally->words[tally->n++] = (struct word){.text = text, .times = 1};
	}
	qsort(tally->words, tally->n, sizeof(tally->words[0]), compare_words);
	for (size_t i = 0; i < tally->n; i++) {
		if (n && ap_str_equal(tally->words[n - 1].text, tally->words[i].text))
			tally->words[n - 1].times++;
		else
			tally->words[n++] = tally->words[i];
	}
	tally->n = n;
	return AP_OK;
}

/* The word of this message that a key of the values is about, or NULL. */
static struct word *word_of_key(struct tally *tally, ap_str key)
{
	char space[sizeof(PREFIX) + MAX_WORD];
	struct word word = {0};
	ap_buf b;

	ap_buf_init(&b, space, sizeof(space), sizeof(space));
	word.text = ap_str_after(ap_json_text(key, &b), PREFIX);
	if (!word.text.ptr)
		return NULL;
	return (struct word *)bsearch(&word, tally->words, tally->n, sizeof(word), compare_words);
}

/* Reads what the thread knows: how often the words came before, and how many turns there were. */
static void read_values(struct tally *tally)
{
	ap_str key, value;
	size_t at = 0;

	while (ap_json_next(tally->run->values, &at, &key, &value)) {
		struct word *word = word_of_key(tally, key);

		if (word)
			ap_json_int(value, &word->total);
		else if (ap_json_is(key, "turns"))
			ap_json_int(value, &tally->turns);
	}
}

/* True if an attempt of this run before, which died, has committed the count. */
static int is_counted(const ap_run *run)
{
	char space[64];
	ap_buf b;

	ap_buf_init(&b, space, sizeof(space), sizeof(space));
	return ap_str_equal(ap_json_text(ap_json_get(run->values, "counted"), &b), run->run_id);
}

/* Begins the patch of a turn. */
static void add_turn(const struct tally *tally, ap_buf *patch)
{
	ap_buf_add_char(patch, '{');
	ap_json_member_int(patch, "turns", tally->turns + 1);
	ap_json_member_str(patch, "counted", tally->run->run_id);
}

/*
 * The first step: the new counts, and in the same step the mark that they are
 * in. A step is there wholly or not at all, so a second attempt at this run
 * knows whether it still has to count.
 */
static ap_status count(struct tally *tally)
{
	ap_status status;
	ap_buf patch;

	ap_buf_init(&patch, NULL, 0, 0);
	add_turn(tally, &patch);
	for (size_t i = 0; i < tally->n; i++) {
		struct word *word = &tally->words[i];

		word->total += word->times;
		ap_buf_addf(&patch, ",\"" PREFIX "%.*s\":%lld", AP_FMT(word->text),
			(long long)word->total);
	}
	ap_buf_add_char(&patch, '}');
	status = patch.status ? patch.status : ap_commit(tally->run, "count", ap_buf_str(&patch));
	ap_buf_free(&patch);
	return status;
}

/* "forget a b", "forget everything": removes keys. */
static ap_status forget(struct tally *tally, int everything)
{
	ap_buf patch, removed;
	ap_str key, value;
	ap_status status;
	size_t at = 0;

	ap_buf_init(&patch, NULL, 0, 0);
	ap_buf_init(&removed, NULL, 0, 0);
	add_turn(tally, &patch);
	ap_buf_add_char(&patch, '}');
	ap_buf_add_char(&removed, '[');
	while (ap_json_next(tally->run->values, &at, &key, &value)) {
		/* A key with the prefix is a JSON string that begins with a quote and it. */
		if (everything ? !ap_str_after(key, "\"" PREFIX).ptr : !word_of_key(tally, key))
			continue;
		ap_json_add_comma(&removed);
		ap_buf_add(&removed, key);
	}
	ap_buf_add_char(&removed, ']');
	status = patch.status ? patch.status : removed.status;
	if (status == AP_OK)
		status = ap_commit_removing(
			tally->run, "forget", ap_buf_str(&patch), ap_buf_str(&removed));
	ap_buf_free(&patch);
	ap_buf_free(&removed);
	return status;
}

/*
 * The last step: tells what it counted. The message has an id made of the
 * run's: a second attempt that says it again replaces it, instead of saying it twice.
 */
static ap_status report(struct tally *tally, const char *nothing)
{
	ap_status status, kept;
	char id[64], text[128];
	ap_message m;

	snprintf(id, sizeof(id), "%.*s-report", AP_FMT(tally->run->run_id));
	ap_message_begin_if_heard(&m, tally->run, "report", id);
	for (size_t i = 0; i < tally->n; i++) {
		snprintf(text, sizeof(text), "%s%.*s: %lld", i ? ", " : "",
			AP_FMT(tally->words[i].text), (long long)tally->words[i].total);
		ap_message_text(&m, ap_cstr(text));
	}
	if (tally->n == 0)
		ap_message_text(&m, ap_cstr(nothing));
	status = ap_message_end(&m);
	kept = ap_message_commit(&m, "report");
	ap_message_free(&m);
	return status != AP_OK ? status : kept;
}

/* One turn of a conversation. */
static ap_status take_turn(struct tally *tally)
{
	ap_str text = ap_message_read(ap_json_last(tally->run->messages), &tally->text);
	ap_status status;
	size_t at = 0;
	int forgets;

	/* Into memory of our own, where it can be changed. */
	if (text.ptr != tally->text.ptr)
		ap_buf_add(&tally->text, text);
	forgets = ap_str_is(next_word(&tally->text, &at), "forget");
	status = find_words(tally, forgets ? at : 0);
	if (status != AP_OK)
		return ap_failf(tally->run, status, "too_many_words",
			"A message may have %d words.", MAX_WORDS);
	if (tally->text.status != AP_OK)
		return ap_fail(
			tally->run, tally->text.status, "no_memory", "There is no memory left.");
	read_values(tally);
	if (forgets) {
		int everything = tally->n == 1 && ap_str_is(tally->words[0].text, "everything");

		status = forget(tally, everything);
		tally->n = 0;
		return status == AP_OK ? report(tally, "Forgotten.") : status;
	}
	status = is_counted(tally->run) ? AP_OK : count(tally);
	return status == AP_OK ? report(tally, "No words.") : status;
}

static ap_status tally_invoke(void *self, ap_run *run)
{
	ap_status status = ap_check(run);
	struct tally *tally;

	(void)self;
	if (status != AP_OK)
		return status;
	tally = (struct tally *)calloc(1, sizeof(*tally));
	if (!tally)
		return ap_fail(run, AP_E_NOMEM, "no_memory", "There is no memory left.");
	tally->run = run;
	ap_buf_init(&tally->text, NULL, 0, 0);
	status = take_turn(tally);
	ap_buf_free(&tally->text);
	free(tally);
	return status;
}

/* RETRY_SAFE: see count() and report(). */
static const ap_agent_info tally_info = {
	.size = sizeof(ap_agent_info),
	.flags = AP_AGENT_RETRY_SAFE,
	.id = "tally",
	.name = "Tally",
	.description = "Counts the words of a conversation.",
	.version = "1.0.0",
	.capabilities = (const char *const[]){"ap.io.messages", "ap.io.streaming", NULL},
	.state_schema = "{\"type\":\"object\",\"properties\":{"
			"\"turns\":{\"type\":\"integer\"},\"counted\":{\"type\":\"string\"}},"
			"\"patternProperties\":{\"^count:\":{\"type\":\"integer\"}}}",
	.max_concurrency = AP_UNLIMITED,
};

static const ap_agent tally = {
	.size = sizeof(ap_agent),
	.info = &tally_info,
	.invoke = tally_invoke,
};

AP_PLUGIN(.name = "tally", .version = "1.0.0", .license = "MIT",
	.agents = (const ap_agent *const[]){&tally, NULL});
