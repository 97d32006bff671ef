/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choosing the engine and its blocking for one product, by what is kept or by measuring.
 *
 * For a measurement op(A) repeats a few rows and op(B) a few columns, of whole numbers, so that every engine must give
 * the same bits and the plain engine has to compute a small product only, of which C is made up. How many differ are
 * primes, which no block's size is a multiple of: so rows and columns that change places show.
 */
#include <math.h>

#include "gemm.h"

#define ROWS           37
#define COLUMNS        41
#define MAX_CANDIDATES 48
#define VERIFY_RUNS    4
/* Numbers are -TOP to TOP: their sums are exact up to a K of 2^24 / TOP^2. */
#define TOP(k) ((k) < 1 << 17 ? 8 : 1)

typedef struct product {
	clef_device *dev;
	clef__gemm_opts g; /* on buffers of its own */
	clef__buffer *buffer[3];
	int rows, columns; /* that differ */
	float *reference;  /* rows x columns */
	float *c;
	double plain_seconds; /* of the whole product by the plain engine, about */
} product;

static void problem_text(const clef__gemm_opts *g, char text[CLEF__KEY_TEXT])
{
	strcpy(text, "gemm");
	clef__key_add(text, "m", g->m);
	clef__key_add(text, "n", g->n);
	clef__key_add(text, "k", g->k);
	if (g->trans_a)
		strcat(text, " ta");
	if (g->trans_b)
		strcat(text, " tb");
	if (g->batch > 1)
		clef__key_add(text, "batch", g->batch);
}

static int find_engine(const char *name)
{
	for (int i = 0; clef__gemm_engine_get(i); i++)
		if (strcmp(clef__gemm_engine_get(i)->name, name) == 0)
			return i;
	return -1;
}

/* ---- the product that is measured ---- */

static float number(unsigned i, unsigned j, unsigned which, int top)
{
	unsigned x = (i * 2654435761u) ^ (j * 2246822519u) ^ (which * 3266489917u);

	x = (x ^ x >> 15) * 2246822519u;
	x ^= x >> 13;
	return (float)((int)(x % (2u * (unsigned)top + 1)) - top);
}

/* Matrix l of `count` with i rows of op(A), or columns of op(B): they repeat, and each matrix begins at another one. */
static clef__buffer *fill(clef_device *dev, int count, int lines, int differ, int depth, bool lines_are_rows, int top,
			  unsigned which)
{
	size_t size = (size_t)lines * (size_t)depth;
	clef__buffer *buffer = clef__buffer_new(dev, sizeof(float) * size * (size_t)count);
	float *x = buffer ? clef__calloc(size, sizeof(float), "a product to measure") : NULL;
	clef_status status = x ? CLEF_OK : clef_error_status();

	for (int l = 0; l < count && !status; l++) {
		for (int i = 0; i < lines; i++)
			for (int j = 0; j < depth; j++)
				x[lines_are_rows ? i * depth + j : j * lines + i] =
					number((unsigned)((i + l) % differ), (unsigned)j, which, top);
		status = clef__buffer_write(buffer, sizeof(float) * size * (size_t)l, x, sizeof(float) * size);
	}
	free(x);
	if (!status)
		return buffer;
	clef__buffer_release(buffer);
	return NULL;
}

static clef_status make_reference(product *p)
{
	const clef__gemm_engine *plain = clef__gemm_engine_get(find_engine("plain"));
	const clef__gemm_opts *g = &p->g;
	size_t bytes = sizeof(float) * (size_t)p->rows * (size_t)p->columns;
	clef__buffer *c = clef__buffer_new(p->dev, bytes);
	clef_status status = c ? CLEF_OK : clef_error_status();
	clef__gemm_opts small = *g;

	small.m = p->rows;
	small.n = p->columns;
	small.batch = 1;
	small.c = c;
	small.ldc = p->columns;
	for (int i = 0; i < 2 && !status; i++) {
		double start = clef__seconds();

		status = plain->run(p->dev, &small);
		if (!status)
			status = clef__buffer_read(c, 0, p->reference, bytes);
		p->plain_seconds = (clef__seconds() - start) * g->batch * g->m / p->rows * g->n / p->columns;
	}
	clef__buffer_release(c);
	return status;
}

static void product_free(product *p)
{
	for (int i = 0; i < 3; i++)
		clef__buffer_release(p->buffer[i]);
	free(p->reference);
	free(p->c);
}

static clef_status product_make(clef_device *dev, const clef__gemm_opts *like, product *p)
{
	int m = like->m, n = like->n, k = like->k, batch = like->batch, top = TOP(k);
	size_t c_size = (size_t)m * (size_t)n;

	*p = (product){ .dev = dev, .rows = CLEF__MIN(m, ROWS), .columns = CLEF__MIN(n, COLUMNS) };
	p->buffer[0] = fill(dev, batch, m, p->rows, k, !like->trans_a, top, 1);
	p->buffer[1] = p->buffer[0] ? fill(dev, batch, n, p->columns, k, like->trans_b, top, 2) : NULL;
	p->buffer[2] = p->buffer[1] ? clef__buffer_new(dev, sizeof(float) * c_size * (size_t)batch) : NULL;
	if (!p->buffer[2])
		return clef_error_status();
	p->reference = clef__calloc((size_t)p->rows * (size_t)p->columns, sizeof(float), "a product to measure");
	p->c = clef__calloc(c_size * (size_t)batch, sizeof(float), "a product to measure");
	if (!p->reference || !p->c)
		return CLEF_ERROR_MEMORY;
	p->g = (clef__gemm_opts){ .trans_a = like->trans_a,
				  .trans_b = like->trans_b,
				  .m = m,
				  .n = n,
				  .k = k,
				  .alpha = 1,
				  .a = p->buffer[0],
				  .b = p->buffer[1],
				  .c = p->buffer[2],
				  .lda = like->trans_a ? m : k,
				  .ldb = like->trans_b ? k : n,
				  .ldc = n,
				  .batch = batch,
				  .a_step = (size_t)m * (size_t)k,
				  .b_step = (size_t)n * (size_t)k,
				  .c_step = c_size };
	return make_reference(p);
}

static clef_status run(void *user, const clef__choice *c)
{
	product *p = user;
	clef__gemm_opts g = p->g;

	g.with = c;
	return clef__gemm_engine_get(find_engine(c->name))->run(p->dev, &g);
}

static bool is_right(const product *p)
{
	const float *c = p->c;

	for (int l = 0; l < p->g.batch; l++)
		for (int i = 0; i < p->g.m; i++)
			for (int j = 0; j < p->g.n; j++, c++)
				if (!(*c - p->reference[(i + l) % p->rows * p->columns + (j + l) % p->columns] == 0))
					return false;
	return true;
}

static clef_status check(void *user, const clef__choice *c, bool *good)
{
	product *p = user;
	size_t count = (size_t)p->g.batch * p->g.c_step;
	clef_status status;

	/* What a candidate leaves out must not be what the one before it wrote. */
	for (size_t i = 0; i < count; i++)
		p->c[i] = NAN;
	status = clef__buffer_write(p->buffer[2], 0, p->c, sizeof(float) * count);
	if (!status)
		status = run(p, c);
	if (!status)
		status = clef__buffer_read(p->buffer[2], 0, p->c, sizeof(float) * count);
	*good = !status && is_right(p);
	return status;
}

clef_status clef__gemm_verify(clef_device *dev, const char *name, const clef__gemm_opts *g, bool *good, double *seconds)
{
	const clef__choice c = clef__choice_make(name);
	product p;
	clef_status status = product_make(dev, g, &p);

	if (!status)
		status = check(&p, &c, good);
	for (int i = 0; i < VERIFY_RUNS && !status && *good && seconds; i++) {
		double start = clef__seconds();

		status = run(&p, &c);
		if (!status)
			status = clef_finish(dev);
		start = clef__seconds() - start;
		*seconds = i ? fmin(*seconds, start) : start;
	}
	product_free(&p);
	return status;
}

/* ---- measuring ---- */

/* All engines that may run here, each by its own rules, behind the one that would; then parameters. CLBlast where it
 * would run only: elsewhere it is far behind, and takes seconds to compile. */
static clef_status list_candidates(clef_device *dev, const clef__gemm_engine *shipped, const product *p,
				   clef__candidate *list, int *count)
{
	clef__choice with[MAX_CANDIDATES];
	int n;

	list[(*count)++] = (clef__candidate){ .choice = clef__choice_make(shipped->name) };
	for (int i = 0; clef__gemm_engine_get(i); i++) {
		const clef__gemm_engine *e = clef__gemm_engine_get(i);
		bool usable, plain = strcmp(e->name, "plain") == 0;
		clef_status status = clef__gemm_usable(dev, i, &usable);

		if (status)
			return status;
		if (!usable || (e != shipped && strcmp(e->name, "clblast") == 0))
			continue;
		if (e != shipped)
			list[(*count)++] = (clef__candidate){ .choice = clef__choice_make(e->name),
							      .checked = plain,
							      .seconds = plain ? p->plain_seconds : 0 };
		n = e->candidates ? e->candidates(dev, &p->g, with, MAX_CANDIDATES - 4) : 0;
		for (int j = 0; j < n && *count < MAX_CANDIDATES; j++)
			list[(*count)++] = (clef__candidate){ .choice = with[j] };
	}
	return CLEF_OK;
}

static clef_status measure(clef_device *dev, const clef__gemm_engine *shipped, const clef__gemm_opts *g,
			   const clef__measure_opts *how, clef__tuned *t, bool *done)
{
	clef__candidate list[MAX_CANDIDATES];
	clef__trial trial = { .dev = dev, .candidate = list, .run = run, .check = check, .how = how };
	char problem[CLEF__KEY_TEXT];
	clef_status status;
	product p;

	problem_text(g, problem);
	trial.problem = problem;
	status = product_make(dev, g, &p);
	trial.user = &p;
	if (!status)
		status = list_candidates(dev, shipped, &p, list, &trial.count);
	if (!status)
		status = clef__trial_run(&trial, t, done);
	product_free(&p);
	return status;
}

static const clef__tuned *measure_in_passing(clef_device *dev, const clef__gemm_engine *shipped,
					     const clef__gemm_opts *g, double seconds)
{
	clef__tuned t;
	bool done;
	clef_status status = measure(dev, shipped, g, &(clef__measure_opts){ .seconds = seconds }, &t, &done);

	return clef__trial_keep(dev, status, &t);
}

const clef__gemm_engine *clef__gemm_tuned(clef_device *dev, const clef__gemm_engine *shipped, clef__gemm_opts *g)
{
	char problem[CLEF__KEY_TEXT];
	double seconds = clef__tuning_first_use(dev);
	const clef__tuned *t;
	bool usable = false;
	int i;

	problem_text(g, problem);
	t = clef__tuning_find(dev, problem);
	if (!t && seconds > 0 && dev->gemm_forced < 0)
		t = measure_in_passing(dev, shipped, g, seconds);
	if (!t)
		return shipped;
	i = find_engine(t->choice.name);
	/* What the environment says goes before what is kept. */
	if (dev->gemm_forced >= 0 && i != dev->gemm_forced)
		return shipped;
	if (i >= 0 && clef__gemm_usable(dev, i, &usable))
		return NULL;
	if (i < 0 || !usable ||
	    (t->choice.param[0].name[0] &&
	     (!clef__gemm_engine_get(i)->takes || !clef__gemm_engine_get(i)->takes(dev, g, &t->choice)))) {
		clef__tuning_refuse(dev, problem, "cannot be used");
		return shipped;
	}
	g->with = &t->choice;
	return clef__gemm_engine_get(i);
}

/* ---- clef tune ---- */

/* "m64 n10 k256 tb", behind "gemm". */
static bool parse(const char *text, clef__gemm_opts *g)
{
	*g = (clef__gemm_opts){ .batch = 1 };
	while (*text == ' ') {
		int *field, used = 0;

		text++;
		if (strncmp(text, "ta", 2) == 0 || strncmp(text, "tb", 2) == 0) {
			*(text[1] == 'a' ? &g->trans_a : &g->trans_b) = true;
			text += 2;
			continue;
		}
		field = *text == 'm' ? &g->m : *text == 'n' ? &g->n : *text == 'k' ? &g->k : &g->batch;
		text += strncmp(text, "batch", 5) == 0 ? 5 : field == &g->batch ? 0 : 1;
		if (sscanf(text, "%9d%n", field, &used) != 1 || *field < 1)
			return false;
		text += used;
	}
	return !*text && g->m && g->n && g->k;
}

static clef_status read_problem(const char *problem, clef__gemm_opts *g)
{
	const char *forced = getenv("CLEF_GEMM");

	if (forced && *forced)
		return clef__fail(CLEF_ERROR_STATE, "CLEF_GEMM is set to %s, so there is no choice to tune", forced);
	if (strncmp(problem, "gemm", 4) == 0 && parse(problem + 4, g))
		return CLEF_OK;
	return clef__fail(CLEF_ERROR_INVALID, "\"%s\" is no matrix product such as \"gemm m64 n10 k256 tb\"", problem);
}

clef_status clef__gemm_measurable(clef_device *dev, const char *problem)
{
	clef__gemm_opts g;

	(void)dev;
	return read_problem(problem, &g);
}

clef_status clef__gemm_measure(clef_device *dev, const char *problem, const clef__measure_opts *how, clef__tuned *t,
			       bool *done)
{
	const clef__gemm_engine *shipped = clef__gemm_choose(dev);
	clef__gemm_opts g;
	clef_status status = shipped ? read_problem(problem, &g) : clef_error_status();

	return status ? status : measure(dev, shipped, &g, how, t, done);
}
