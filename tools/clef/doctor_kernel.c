/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A first kernel: opens the device, sends numbers there, computes with them and compares what comes back; then a matrix
 * product, before which the library checks its own. Twice, in two processes: the second one must find its kernels in
 * the cache.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "doctor.h"
#include "tool.h"

#define COUNT   1000
#define COLUMNS 8

typedef struct trial {
	bool opened, right;
	double open_seconds, kernel_seconds;
	clef_device_stats stats;
	char error[768];
	char warning[512]; /* the library's last one */
} trial;

static void take_warning(void *user, clef_log_level level, const char *message)
{
	trial *t = user;

	(void)level;
	snprintf(t->warning, sizeof(t->warning), "%s", message);
}

/* y = 1.5 + 2 x, exact in float. */
static bool compute(clef_device *dev, trial *t)
{
	static float values[COUNT];
	clef_array array = { CLEF_FLOAT32, CLEF_SHAPE(COUNT), values };
	clef_tensor *x, *y = clef_tensor_new(dev, CLEF_FLOAT32, CLEF_SHAPE(COUNT));
	bool good;

	for (int i = 0; i < COUNT; i++)
		values[i] = (float)i;
	x = clef_tensor_from(dev, &array);
	good = x && y && !clef_fill(y, 1.5) && !clef_axpy(2, x, y) && !clef_read(y, values, sizeof(values));
	for (int i = 0; i < COUNT && good; i++)
		if (values[i] != 1.5F + 2 * (float)i) {
			snprintf(t->error, sizeof(t->error), "the device computed 1.5 + 2 * %d = %g", i,
				 (double)values[i]);
			good = false;
		}
	if (!good && !*t->error)
		snprintf(t->error, sizeof(t->error), "%s", reason());
	clef_tensor_free(x);
	clef_tensor_free(y);
	return good;
}

/* A row of ones by a matrix of twos, exact as well. */
static bool multiply(clef_device *dev, trial *t)
{
	float row[COLUMNS], matrix[COLUMNS * COLUMNS], product[COLUMNS];
	clef_array a = { CLEF_FLOAT32, CLEF_SHAPE(1, COLUMNS), row },
		   b = { CLEF_FLOAT32, CLEF_SHAPE(COLUMNS, COLUMNS), matrix };
	clef_tape *tape = clef_tape_new(dev);
	bool good = tape && !clef_tape_begin_no_grad(tape);

	for (int i = 0; i < COLUMNS; i++)
		row[i] = 1;
	for (int i = 0; i < COLUMNS * COLUMNS; i++)
		matrix[i] = 2;
	good = good && !clef_read(clef_matmul(clef_input(tape, &a), clef_input(tape, &b)), product, sizeof(product));
	for (int i = 0; i < COLUMNS && good; i++)
		if (product[i] != 2 * COLUMNS) {
			snprintf(t->error, sizeof(t->error), "a matrix product computed %g, not %d", (double)product[i],
				 2 * COLUMNS);
			good = false;
		}
	if (!good && !*t->error)
		snprintf(t->error, sizeof(t->error), "%s", reason());
	clef_tape_free(tape);
	return good;
}

/* Writes what it knows at each step; the last whole record counts. */
static void try_device(void *arg, FILE *out)
{
	const doctor *d = arg;
	trial t = { .right = false };
	double start = seconds();
	clef_device *dev;

	clef_log_set(take_warning, &t, CLEF_LOG_WARN);
	dev = clef_device_open(d->device);
	t.open_seconds = seconds() - start;
	t.opened = dev != NULL;
	if (!dev)
		snprintf(t.error, sizeof(t.error), "%s", reason());
	fwrite(&t, sizeof(t), 1, out);
	if (!dev)
		return;
	start = seconds();
	t.right = compute(dev, &t) && multiply(dev, &t);
	t.kernel_seconds = seconds() - start;
	t.stats = clef_device_get_stats(dev);
	fwrite(&t, sizeof(t), 1, out);
}

static void run_trial(const doctor *d, trial *t, child *r)
{
	size_t records;
	doctor copy = *d;

	memset(t, 0, sizeof(*t));
	*r = (child){ .work = try_device, .arg = &copy };
	child_run(r, 6 * d->limit);
	records = r->said.size / sizeof(*t);
	if (records)
		memcpy(t, r->said.data + (records - 1) * sizeof(*t), sizeof(*t));
	child_free(r);
}

static void report_times(doctor *d, const char *what, const trial *t)
{
	doctor_report(d, DOCTOR_OK,
		      "%s: device opened in %.2f s, kernel in %.0f ms; programs: %" PRIu64 " compiled, %" PRIu64
		      " from the cache, in %.2f s",
		      what, t->open_seconds, 1e3 * t->kernel_seconds, t->stats.programs_built, t->stats.programs_cached,
		      t->stats.build_seconds);
}

/* Of the second trial: whether the cache holds. */
static void report_cached(doctor *d, const trial *t)
{
	char folder[1024];

	if (!t->stats.programs_built || !*clef_cache_folder(folder, sizeof(folder)))
		report_times(d, "again, in a second process", t);
	else
		doctor_advise(d, DOCTOR_WARNING, "see \"Caches of compiled kernels\" above",
			      "a second process compiled %" PRIu64
			      " programs again, in %.2f s: the cache does not keep them%s%s",
			      t->stats.programs_built, t->stats.build_seconds, *t->warning ? ": " : "", t->warning);
}

static void report_failed(doctor *d, const trial *t, const child *r)
{
	const char *forced = getenv("CLEF_GEMM");
	const char *advice =
		"try another device, or another version of its driver; \"Drivers with known problems\" above may "
		"know it";

	if (r->end == CHILD_LATE)
		doctor_advise(d, DOCTOR_PROBLEM,
			      "give it more time: clef doctor --timeout 120\nor try another device: --device WHICH",
			      "the device %s %s", r->text, t->opened ? "to a first kernel" : "while it is opened");
	else if (r->end != CHILD_DONE)
		doctor_advise(d, DOCTOR_PROBLEM, advice, "the driver %s %s", r->text,
			      t->opened ? "at a first kernel" : "when the device is opened and a matrix product tried");
	else if (!t->opened)
		doctor_advise(d, DOCTOR_PROBLEM, forced && strstr(t->error, "CLEF_GEMM") ? "unset CLEF_GEMM" : advice,
			      "the device cannot be opened: %s", t->error);
	else
		doctor_advise(d, DOCTOR_PROBLEM, advice, "a first kernel failed: %s", t->error);
}

void doctor_kernel(doctor *d)
{
	child r;
	trial t;

	if (d->chosen < 0) {
		doctor_report(d, DOCTOR_SKIPPED, "there is no device to run it on");
		return;
	}
	run_trial(d, &t, &r);
	if (r.end != CHILD_DONE || !t.right) {
		report_failed(d, &t, &r);
		return;
	}
	d->works = true;
	report_times(d, "right", &t);
	if (*t.warning)
		doctor_advise(d, DOCTOR_WARNING, "clef goes on without it; the lines above may say why", "%s",
			      t.warning);
	run_trial(d, &t, &r);
	if (r.end == CHILD_DONE && t.right)
		report_cached(d, &t);
	else
		report_failed(d, &t, &r);
}
