/* SPDX-License-Identifier: Apache-2.0 */
/* Results as JSON. docs/bench.md tells the schema; what changes its meaning gets another number. */
#include <clef/bench.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>

#include "bench_internal.h"
#include "bench_json.h"

/* JSON has no NaN and no infinity. */
static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *stat_json(const clef_bench_stat *s)
{
	if (!s->count)
		return json_null();
	return json_pack("{si so so so so so}", "count", s->count, "median", number(s->median), "low", number(s->low),
			 "high", number(s->high), "least", number(s->least), "most", number(s->most));
}

static json_t *device_json(const clef_device_info *d)
{
	return json_pack("{si si ss ss ss ss ss ss sI sI sI sI sI sI sI sb}", "platform", d->platform, "device",
			 d->device, "kind", clef_device_kind_name(d->kind), "name", d->name, "vendor", d->vendor,
			 "platform_name", d->platform_name, "version", d->version, "driver", d->driver, "compute_units",
			 (json_int_t)d->compute_units, "clock_mhz", (json_int_t)d->clock_mhz, "float_vector",
			 (json_int_t)d->float_vector, "max_work_group", (json_int_t)d->max_work_group, "global_memory",
			 (json_int_t)d->global_memory, "max_allocation", (json_int_t)d->max_allocation, "local_memory",
			 (json_int_t)d->local_memory, "unified_memory", d->unified_memory);
}

static json_t *limits_json(const clef_bench_limits_result *l)
{
	json_t *memory = json_array(), *transfer = json_array();

	if (!l->multiply_add.count) {
		json_decref(memory);
		json_decref(transfer);
		return json_null();
	}
	for (int i = 0; i < l->memories; i++)
		json_array_append_new(memory,
				      json_pack("{sI so so}", "bytes", (json_int_t)l->memory[i].bytes, "copy",
						stat_json(&l->memory[i].copy), "read", stat_json(&l->memory[i].read)));
	for (int i = 0; i < l->transfers; i++)
		json_array_append_new(transfer, json_pack("{sI so so}", "bytes", (json_int_t)l->transfer[i].bytes,
							  "to_device", stat_json(&l->transfer[i].to_device), "to_host",
							  stat_json(&l->transfer[i].to_host)));
	return json_pack("{so so so so so so so}", "multiply_add", stat_json(&l->multiply_add), "memory", memory,
			 "launch", stat_json(&l->launch), "launch_row", stat_json(&l->launch_row), "transfer", transfer,
			 "compile_cold", stat_json(&l->compile_cold), "compile_cached", stat_json(&l->compile_cached));
}

static json_t *row_json(const clef_bench_row *r, bool network)
{
	json_t *row = json_pack("{ss ss ss ss ss? so so so so so ss so so so}", "name", r->name, "pass", r->pass,
				"group", r->group, "state", clef_bench_state_name(r->state), "message", r->message,
				"seconds", stat_json(&r->seconds), "flops", number(r->flops), "bytes", number(r->bytes),
				"launches", number(r->launches), "limit", number(r->limit), "bound", r->bound, "share",
				number(clef_bench_share(r)), "multiply_add", number(r->multiply_add), "copy",
				number(r->copy));
	json_t *more = network ? json_pack("{sI so so so so so so}", "memory", (json_int_t)r->memory, "images",
					   number(r->images), "loss", number(r->loss), "data", stat_json(&r->data),
					   "forward", stat_json(&r->forward), "backward", stat_json(&r->backward),
					   "optimizer", stat_json(&r->optimizer))
			       : json_pack("{so}", "error", number(r->error));

	if (row && more)
		json_object_update(row, more);
	json_decref(more);
	return row;
}

static json_t *rows_json(const clef_bench_row *rows, int count, bool network)
{
	json_t *list = json_array();

	for (int i = 0; i < count; i++)
		json_array_append_new(list, row_json(&rows[i], network));
	return list;
}

static json_t *result_json(const clef_bench_result *r)
{
	json_t *probes = json_array();

	for (int i = 0; i < r->probes; i++)
		json_array_append_new(probes,
				      json_pack("{so so so}", "at", number(r->probe[i].at), "multiply_add",
						number(r->probe[i].multiply_add), "copy", number(r->probe[i].copy)));
	return json_pack("{so ss? ss? ss? ss? ss? so so so so so so}", "device", device_json(&r->device), "error",
			 r->error, "clef", r->clef, "date", r->date, "system", r->system, "effort", r->effort,
			 "seconds", number(r->seconds), "drift", number(clef_bench_drift(r)), "limits",
			 limits_json(&r->limits), "probes", probes, "ops", rows_json(r->op, r->ops, false), "networks",
			 rows_json(r->network, r->networks, true));
}

static clef_status write_file(json_t *file, const char *path)
{
	char *text = json_dumps(file, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	bool screen = !strcmp(path, "-"), written;
	char *temporary = clef__format("%s.part", path);
	FILE *out = NULL;
	int error = 0;

	if (text && temporary)
		out = screen ? stdout : fopen(temporary, "w");
	written = out && fprintf(out, "%s\n", text) > 0;
	error = errno;
	if (out && !screen && fclose(out))
		written = false;
	if (written && !screen && rename(temporary, path))
		written = false;
	if (!written && text && temporary)
		clef__fail(CLEF_ERROR_IO, "%s cannot be written: %s", path, strerror(error ? error : errno));
	else if (!written)
		clef__fail(CLEF_ERROR_MEMORY, "clef_bench_write: no memory, or a name that is no UTF-8");
	if (!written && out && !screen)
		remove(temporary);
	free(temporary);
	free(text);
	return written ? CLEF_OK : clef_error_status();
}

clef_status clef_bench_write(const char *path, const clef_bench_result *const *results, int count)
{
	json_t *list, *file;
	char *verdict;
	clef_status s;

	if (!path || !results)
		return clef__null_argument("clef_bench_write");
	list = json_array();
	for (int i = 0; i < count; i++)
		json_array_append_new(list, result_json(results[i]));
	verdict = clef_bench_verdict(results, count);
	file = json_pack("{si so ss?}", "schema", CLEF__BENCH_SCHEMA, "results", list, "verdict", verdict);
	s = file && (int)json_array_size(list) == count
		    ? write_file(file, path)
		    : clef__fail(CLEF_ERROR_MEMORY, "clef_bench_write: no memory, or a name that is no UTF-8");
	json_decref(file);
	free(verdict);
	return s;
}
