/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads results of any origin: nothing is taken on trust, and the first thing that is not as docs/bench.md says ends
 * it, with its place in the file, such as "results[0].ops[3].seconds.median".
 */
#include <clef/bench.h>
#include <jansson.h>
#include <math.h>

#include "bench_internal.h"
#include "bench_json.h"

typedef struct reader {
	const char *path;
	char place[200]; /* of the object that is being read */
	clef_status status;
} reader;

static bool bad(reader *in, const char *key, const char *expected)
{
	if (!in->status)
		in->status = clef__fail(CLEF_ERROR_FORMAT, "%s: %s%s%s: %s is expected", in->path, in->place,
					*in->place && *key ? "." : "", key, expected);
	return false;
}

/* Goes into a part of the place, and back out. */
static size_t enter(reader *in, const char *key, int index)
{
	size_t used = strlen(in->place);

	if (index < 0)
		snprintf(in->place + used, sizeof(in->place) - used, "%s%s", used ? "." : "", key);
	else
		snprintf(in->place + used, sizeof(in->place) - used, "%s%s[%d]", used ? "." : "", key, index);
	return used;
}

static void leave(reader *in, size_t used)
{
	in->place[used] = '\0';
}

/* ---- single values ---- */

/* null is 0: a figure that was no number. */
static double read_number(reader *in, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_null(value))
		return 0;
	if (!json_is_number(value) || !isfinite(json_number_value(value)) || json_number_value(value) < 0) {
		bad(in, key, "a number, 0 or above,");
		return 0;
	}
	return json_number_value(value);
}

static char *read_text(reader *in, const json_t *object, const char *key, bool optional)
{
	const json_t *value = json_object_get(object, key);
	char *text;

	if (optional && (!value || json_is_null(value)))
		return NULL;
	if (!json_is_string(value)) {
		bad(in, key, "a string");
		return NULL;
	}
	text = clef__strdup(json_string_value(value));
	if (!text)
		in->status = CLEF_ERROR_MEMORY;
	return text;
}

static void read_field(reader *in, const json_t *object, const char *key, char *field, size_t size)
{
	char *text = read_text(in, object, key, false);

	if (text)
		snprintf(field, size, "%s", text);
	free(text);
}

static const json_t *read_list(reader *in, const json_t *object, const char *key)
{
	const json_t *list = json_object_get(object, key);

	if (!json_is_array(list))
		bad(in, key, "an array");
	return list;
}

static clef_bench_stat read_stat(reader *in, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	clef_bench_stat s = { 0 };
	size_t place;

	if (json_is_null(value))
		return s;
	if (!json_is_object(value)) {
		bad(in, key, "an object, or null");
		return s;
	}
	place = enter(in, key, -1);
	s.count = (int)CLEF__MIN(read_number(in, value, "count"), 1e9);
	s.median = read_number(in, value, "median");
	s.low = read_number(in, value, "low");
	s.high = read_number(in, value, "high");
	s.least = read_number(in, value, "least");
	s.most = read_number(in, value, "most");
	if (s.count < 1 || s.median <= 0 || s.low > s.median || s.high < s.median)
		bad(in, "", "count >= 1, median > 0 and low <= median <= high");
	leave(in, place);
	return s;
}

/* ---- parts ---- */

static void read_device(reader *in, const json_t *object, clef_device_info *d)
{
	char kind[32] = "";
	size_t place = enter(in, "device", -1);

	if (!json_is_object(object))
		bad(in, "", "an object");
	read_field(in, object, "kind", kind, sizeof(kind));
	read_field(in, object, "name", d->name, sizeof(d->name));
	read_field(in, object, "vendor", d->vendor, sizeof(d->vendor));
	read_field(in, object, "platform_name", d->platform_name, sizeof(d->platform_name));
	read_field(in, object, "version", d->version, sizeof(d->version));
	read_field(in, object, "driver", d->driver, sizeof(d->driver));
	for (d->kind = CLEF_DEVICE_CPU; d->kind < CLEF_DEVICE_OTHER; d->kind++)
		if (!strcmp(kind, clef_device_kind_name(d->kind)))
			break;
	d->platform = (int)CLEF__MIN(read_number(in, object, "platform"), 1e6);
	d->device = (int)CLEF__MIN(read_number(in, object, "device"), 1e6);
	d->compute_units = (uint32_t)CLEF__MIN(read_number(in, object, "compute_units"), 1e9);
	d->clock_mhz = (uint32_t)CLEF__MIN(read_number(in, object, "clock_mhz"), 1e9);
	d->float_vector = (uint32_t)CLEF__MIN(read_number(in, object, "float_vector"), 1e9);
	d->max_work_group = (uint64_t)CLEF__MIN(read_number(in, object, "max_work_group"), 1e18);
	d->global_memory = (uint64_t)CLEF__MIN(read_number(in, object, "global_memory"), 1e18);
	d->max_allocation = (uint64_t)CLEF__MIN(read_number(in, object, "max_allocation"), 1e18);
	d->local_memory = (uint64_t)CLEF__MIN(read_number(in, object, "local_memory"), 1e18);
	d->unified_memory = json_is_true(json_object_get(object, "unified_memory"));
	leave(in, place);
}

static void read_limits(reader *in, const json_t *object, clef_bench_limits_result *l)
{
	const json_t *memory, *transfer;
	size_t place;

	if (json_is_null(object))
		return;
	place = enter(in, "limits", -1);
	if (!json_is_object(object))
		bad(in, "", "an object, or null");
	l->multiply_add = read_stat(in, object, "multiply_add");
	l->launch = read_stat(in, object, "launch");
	l->launch_row = read_stat(in, object, "launch_row");
	l->compile_cold = read_stat(in, object, "compile_cold");
	l->compile_cached = read_stat(in, object, "compile_cached");
	memory = read_list(in, object, "memory");
	transfer = read_list(in, object, "transfer");
	for (int i = 0; !in->status && i < CLEF_BENCH_SIZES && i < (int)json_array_size(memory); i++) {
		const json_t *m = json_array_get(memory, (size_t)i);
		size_t outer = enter(in, "memory", i);

		l->memory[l->memories++] = (clef_bench_memory){ (uint64_t)CLEF__MIN(read_number(in, m, "bytes"), 1e18),
								read_stat(in, m, "copy"), read_stat(in, m, "read") };
		leave(in, outer);
	}
	for (int i = 0; !in->status && i < CLEF_BENCH_SIZES && i < (int)json_array_size(transfer); i++) {
		const json_t *t = json_array_get(transfer, (size_t)i);
		size_t outer = enter(in, "transfer", i);

		l->transfer[l->transfers++] =
			(clef_bench_transfer){ (uint64_t)CLEF__MIN(read_number(in, t, "bytes"), 1e18),
					       read_stat(in, t, "to_device"), read_stat(in, t, "to_host") };
		leave(in, outer);
	}
	leave(in, place);
}

static clef_bench_state read_state(reader *in, const json_t *object)
{
	char text[16] = "";

	read_field(in, object, "state", text, sizeof(text));
	for (int i = CLEF_BENCH_RIGHT; i <= CLEF_BENCH_FAILED; i++)
		if (!strcmp(text, clef_bench_state_name((clef_bench_state)i)))
			return (clef_bench_state)i;
	bad(in, "state", "right, wrong, impossible or failed");
	return CLEF_BENCH_FAILED;
}

static const char *read_bound(reader *in, const json_t *object)
{
	static const char *const bounds[] = { "", "arithmetic", "memory", "launches" };
	char text[16] = "";

	read_field(in, object, "bound", text, sizeof(text));
	for (int i = 0; i < CLEF_COUNT(bounds); i++)
		if (!strcmp(text, bounds[i]))
			return bounds[i];
	bad(in, "bound", "arithmetic, memory, launches or nothing");
	return "";
}

static void read_row(reader *in, const json_t *object, bool network, clef_bench_row *r)
{
	r->name = read_text(in, object, "name", false);
	r->pass = read_text(in, object, "pass", false);
	r->group = read_text(in, object, "group", false);
	r->message = read_text(in, object, "message", true);
	r->state = read_state(in, object);
	r->bound = read_bound(in, object);
	r->seconds = read_stat(in, object, "seconds");
	r->flops = read_number(in, object, "flops");
	r->bytes = read_number(in, object, "bytes");
	r->launches = read_number(in, object, "launches");
	r->limit = read_number(in, object, "limit");
	r->multiply_add = read_number(in, object, "multiply_add");
	r->copy = read_number(in, object, "copy");
	if (!network) {
		r->error = read_number(in, object, "error");
		return;
	}
	r->memory = (uint64_t)CLEF__MIN(read_number(in, object, "memory"), 1e18);
	r->images = read_number(in, object, "images");
	r->loss = read_number(in, object, "loss");
	r->data = read_stat(in, object, "data");
	r->forward = read_stat(in, object, "forward");
	r->backward = read_stat(in, object, "backward");
	r->optimizer = read_stat(in, object, "optimizer");
}

static void read_rows(reader *in, const json_t *object, bool network, clef_bench_row **rows, int *count)
{
	const char *key = network ? "networks" : "ops";
	const json_t *list = read_list(in, object, key);
	size_t size = json_array_size(list);

	if (in->status)
		return;
	*rows = clef__calloc(size, sizeof(**rows), "results");
	if (!*rows)
		in->status = CLEF_ERROR_MEMORY;
	for (int i = 0; !in->status && i < (int)size; i++) {
		size_t place = enter(in, key, i);

		read_row(in, json_array_get(list, (size_t)i), network, &(*rows)[(*count)++]);
		leave(in, place);
	}
}

static void read_result(reader *in, const json_t *object, clef_bench_result *r)
{
	const json_t *probes = read_list(in, object, "probes");
	size_t size = json_array_size(probes);

	read_device(in, json_object_get(object, "device"), &r->device);
	r->error = read_text(in, object, "error", true);
	r->clef = read_text(in, object, "clef", true);
	r->date = read_text(in, object, "date", true);
	r->system = read_text(in, object, "system", true);
	r->effort = read_text(in, object, "effort", true);
	r->seconds = read_number(in, object, "seconds");
	read_limits(in, json_object_get(object, "limits"), &r->limits);
	r->probe = clef__calloc(size, sizeof(*r->probe), "results");
	if (!r->probe)
		in->status = CLEF_ERROR_MEMORY;
	for (int i = 0; !in->status && i < (int)size; i++) {
		const json_t *p = json_array_get(probes, (size_t)i);
		size_t place = enter(in, "probes", i);

		r->probe[r->probes++] =
			(clef_bench_probe){ read_number(in, p, "at"), read_number(in, p, "multiply_add"),
					    read_number(in, p, "copy") };
		leave(in, place);
	}
	read_rows(in, object, false, &r->op, &r->ops);
	read_rows(in, object, true, &r->network, &r->networks);
}

static clef_bench_result **read_file(reader *in, const json_t *file, int *count)
{
	const json_t *list = json_object_get(file, "results");
	const json_t *schema = json_object_get(file, "schema");
	size_t size = json_array_size(list);
	clef_bench_result **results;

	if (!json_is_integer(schema))
		return bad(in, "schema", "a whole number, as clef bench writes,"), NULL;
	if (json_integer_value(schema) != CLEF__BENCH_SCHEMA)
		return clef__fail_null(CLEF_ERROR_FORMAT, "%s: schema %lld; this version reads %d", in->path,
				       (long long)json_integer_value(schema), CLEF__BENCH_SCHEMA);
	if (!size)
		return bad(in, "results", "an array, not empty,"), NULL;
	results = clef__calloc(size, sizeof(*results), "results");
	for (*count = 0; results && !in->status && *count < (int)size; ++*count) {
		size_t place = enter(in, "results", *count);

		results[*count] = clef__calloc(1, sizeof(**results), "results");
		if (results[*count])
			read_result(in, json_array_get(list, (size_t)*count), results[*count]);
		else
			in->status = CLEF_ERROR_MEMORY;
		leave(in, place);
	}
	if (!in->status)
		return results;
	clef_bench_results_free(results, *count);
	return NULL;
}

clef_bench_result **clef_bench_read(const char *path, int *count)
{
	reader in = { .path = path };
	clef_bench_result **results;
	json_error_t error;
	json_t *file;
	FILE *stream;

	if (!path || !count) {
		clef__null_argument("clef_bench_read");
		return NULL;
	}
	*count = 0;
	stream = fopen(path, "r");
	if (!stream)
		return clef__fail_null(CLEF_ERROR_IO, "%s cannot be opened", path);
	file = json_loadf(stream, JSON_REJECT_DUPLICATES, &error);
	fclose(stream);
	if (!file)
		return clef__fail_null(CLEF_ERROR_FORMAT, "%s is no JSON: line %d: %s", path, error.line, error.text);
	results = read_file(&in, file, count);
	json_decref(file);
	if (!results)
		*count = 0;
	return results;
}
