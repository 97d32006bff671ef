/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All optimizers on three functions of two numbers: a ravine, where the gradient hardly points along the valley; a
 * saddle, from a start so near to the ridge that most of the gradient points at the saddle point; and Beale's function,
 * with steep walls and a flat floor. The functions are written with clef's operations, and the gradients are the
 * tape's.
 *
 *     optimizer_race [picture.svg]
 *
 * It prints a table of what it measures, and with cairo at hand draws the paths:
 *
 * adaptive   The path stays the same when the function is multiplied by 16: the rule finds the size of its steps
 * itself. units      The path, measured in units, stays the same when x and y are given in sixteenths of them: a step
 * has the units of what it changes. escapes    Steps until the saddle is behind: |y| is 1. ravine, Beale: steps until
 * the minimum is nearer than 0.1, for good.
 *
 * For the first two eps, which has units of its own, is out of the way; Adadelta, which would not start without it,
 * gets a first estimate of its steps. At the end the program says whether all claims hold: which rules are adaptive and
 * which keep units is what their formulas promise, and rules that size the step of each element for itself leave the
 * saddle in less than half of the steps of plain SGD. Rates were tuned by hand, one for all three functions.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clef/clef.h>

#include <race.h>

/* ---- functions ---- */

static double ravine_value(double x, double y)
{
	return 0.1 * x * x + 2 * y * y;
}

static double saddle_value(double x, double y)
{
	return x * x - y * y;
}

static double beale_value(double x, double y)
{
	double a = 1.5 - x + x * y, b = 2.25 - x + x * y * y, c = 2.625 - x + x * y * y * y;

	return a * a + b * b + c * c;
}

/* The sum of c w^2. */
static clef_tensor *quadratic(clef_tape *tape, clef_tensor *w, const float c[2])
{
	clef_array array = { CLEF_FLOAT32, CLEF_SHAPE(2), (void *)c };

	return clef_sum(clef_mul(clef_mul(w, w), clef_input(tape, &array)), NULL);
}

static clef_tensor *ravine(clef_tape *tape, clef_tensor *w)
{
	return quadratic(tape, w, (const float[]){ 0.1f, 2 });
}

static clef_tensor *saddle(clef_tape *tape, clef_tensor *w)
{
	return quadratic(tape, w, (const float[]){ 1, -1 });
}

/* The sum of (c_k - x + x y^k)^2 over k = 1, 2, 3. */
static clef_tensor *beale(clef_tape *tape, clef_tensor *w)
{
	clef_array c = { CLEF_FLOAT32, CLEF_SHAPE(3), (float[]){ 1.5f, 2.25f, 2.625f } };
	clef_tensor *x = clef_slice(w, 0, 0, 1, 1), *y = clef_slice(w, 0, 1, 2, 1), *y2 = clef_mul(y, y);
	clef_tensor *powers = clef_cat((clef_tensor *[]){ y, y2, clef_mul(y2, y) }, 3, 0);
	clef_tensor *r = clef_add(clef_input(tape, &c), clef_mul(x, clef_add_scalar(powers, -1)));

	return clef_sum(clef_mul(r, r), NULL);
}

enum { RAVINE, SADDLE, BEALE, FUNCTIONS };

static clef_tensor *(*const functions[FUNCTIONS])(clef_tape *tape, clef_tensor *w) = { ravine, saddle, beale };

static const race_landscape landscapes[FUNCTIONS] = {
	{ "Ravine", "0.1 x\302\262 + 2 y\302\262", ravine_value, -5.6, 2.6, -4.1, 4.1, { -5, 2.5f }, true, { 0, 0 } },
	{ "Saddle", "x\302\262 - y\302\262", saddle_value, -1.4, 1.1, -0.5, 2, { -1.2f, 1e-3f }, false, { 0, 0 } },
	{ "Beale's function",
	  "(1.5 - x + xy)\302\262 + (2.25 - x + xy\302\262)\302\262 + (2.625 - x + xy\302\263)\302\262",
	  beale_value,
	  -0.2,
	  4.2,
	  -1.9,
	  2.5,
	  { 1, 1 },
	  true,
	  { 3, 0.5f } },
};

/* ---- rules, and what is claimed of them ---- */

typedef struct entry {
	const char *text; /* for clef_optim_parse() */
	const char *eps;  /* options that put eps out of the way, or NULL */
	bool adaptive, units;
	bool by_element; /* it sizes the step of each element for itself: escapes in less than half of SGD's steps */
	bool circles;    /* its steps have one length, so that it does not come to rest at a minimum */
} entry;

static const entry entries[] = {
	{ "sgd(0.03)", NULL, false, false, false },
	{ "momentum(0.02)", NULL, false, false, false },
	{ "nesterov(0.01)", NULL, false, false, false },
	{ "asgd(0.03)", NULL, false, false, false },
	{ "adagrad(1)", "eps=1e-30", true, false, true },
	{ "adadelta(20)", "eps=1e-30", true, true, true },
	{ "rmsprop(0.05, 0.9)", "eps=1e-30", true, false, true },
	{ "adam(0.3)", "eps=1e-30", true, false, true },
	{ "adamw(0.3, weight_decay=0.01)", "eps=1e-30", true, false, true },
	{ "adamax(0.7)", "eps=1e-30", true, false, true },
	{ "nadam(0.2)", "eps=1e-30", true, false, true },
	/* Its first steps follow the plain gradient. */
	{ "radam(0.03, beta2=0.9)", "eps=1e-30", false, false, false },
	{ "rprop(0.1)", NULL, true, false, true },
	{ "lion(0.05, beta2=0.9)", NULL, true, false, true, true },
	/* It sizes the step of the point as a whole. */
	{ "lars(1, 0.5, trust=0.03)", "eps=1e-30", true, true, false },
	{ "lamb(0.05)", "eps=1e-30", true, true, true },
	{ "adafactor(0.3, d=10)", "eps1=1e-30, eps2=1e-30", true, true, true },
};

#define COUNT CLEF_COUNT(entries)

typedef struct result {
	bool adaptive, units;
	int escape, ravine, beale; /* steps; -1: not in RACE_STEPS */
} result;

/* ---- running ---- */

typedef struct runner {
	clef_device *dev;
	clef_tape *tape;
} runner;

/* How a function is changed: `height` times its value, at a point given in units of 1 / unit. */
typedef struct scales {
	float height, unit;
	bool no_eps;
} scales;

static clef_optim *make_optim(const entry *e, clef_params *params, const scales *k)
{
	clef_optim_opts opts;
	clef_optim *optim;
	char text[128];
	int estimate;

	snprintf(text, sizeof(text), "%s", e->text);
	if (k->no_eps && e->eps)
		snprintf(text + strlen(text) - 1, sizeof(text) - strlen(text) + 1, ", %s)", e->eps);
	optim = clef_optim_parse(text, &opts) ? NULL : clef_optim_new(params, &opts);
	if (optim && k->no_eps && opts.kind == CLEF_OPTIM_ADADELTA) {
		float square = 0.01f * k->unit * k->unit;

		estimate = clef_optim_state_find(optim, "w.acc_delta");
		clef_optim_state_write(optim, estimate, (float[]){ square, square }, 2 * sizeof(float));
	}
	return optim;
}

static clef_status race_steps(const runner *r, int function, clef_optim *optim, clef_tensor *w, const scales *k,
			      race_path *path)
{
	clef_status s = CLEF_OK;

	for (int t = 1; t <= RACE_STEPS && !s; t++) {
		clef_tensor *f;
		float v[2] = { NAN, NAN };

		clef_tape_begin(r->tape);
		f = functions[function](r->tape, clef_mul_scalar(w, 1 / k->unit));
		s = clef_backward(clef_mul_scalar(f, k->height));
		if (!s)
			s = clef_optim_step(optim);
		if (!s)
			s = clef_read(w, v, sizeof(v));
		path->at[t] = (race_point){ v[0] / k->unit, v[1] / k->unit };
	}
	return s;
}

static clef_status race(const runner *r, int function, const entry *e, scales k, race_path *path)
{
	race_point start = landscapes[function].start;
	float v[2] = { start.x * k.unit, start.y * k.unit };
	clef_params *params = clef_params_new(r->dev);
	clef_tensor *w = clef_params_add(params, "w", CLEF_SHAPE(2), NULL);
	clef_optim *optim = NULL;
	clef_status s = clef_params_commit(params, &(clef_rng){ .seed = 1 });

	path->name = e->text;
	path->at[0] = start;
	if (!s)
		s = clef_write(w, v, sizeof(v));
	if (!s) {
		optim = make_optim(e, params, &k);
		s = optim ? race_steps(r, function, optim, w, &k, path) : clef_error_status();
	}
	clef_optim_free(optim);
	clef_params_free(params);
	return s;
}

/* ---- measuring ---- */

/* Equal but for rounding, over the first steps. */
static bool same_path(const race_path *a, const race_path *b)
{
	for (int t = 0; t <= 20; t++)
		if (!(hypotf(a->at[t].x - b->at[t].x, a->at[t].y - b->at[t].y) <=
		      1e-3f * hypotf(a->at[t].x, a->at[t].y)))
			return false;
	return true;
}

static int steps_to_escape(const race_path *path)
{
	for (int t = 0; t <= RACE_STEPS; t++)
		if (fabsf(path->at[t].y) >= 1)
			return t;
	return -1;
}

static int steps_to_minimum(const race_path *path, race_point minimum)
{
	int t = RACE_STEPS;

	while (t >= 0 && hypotf(path->at[t].x - minimum.x, path->at[t].y - minimum.y) < 0.1f)
		t--;
	return t == RACE_STEPS ? -1 : t + 1;
}

static clef_status measure(const runner *r, const entry *e, const race_path paths[FUNCTIONS], result *out)
{
	race_path *path = calloc(3, sizeof(*path));
	clef_status s = path ? CLEF_OK : CLEF_ERROR_MEMORY;

	for (int i = 0; i < 3 && !s; i++)
		s = race(r, RAVINE, e, (scales){ i == 1 ? 16 : 1, i == 2 ? 16 : 1, true }, &path[i]);
	if (!s) {
		out->adaptive = same_path(&path[0], &path[1]);
		out->units = same_path(&path[0], &path[2]);
		out->ravine = steps_to_minimum(&paths[RAVINE], landscapes[RAVINE].minimum);
		out->escape = steps_to_escape(&paths[SADDLE]);
		out->beale = steps_to_minimum(&paths[BEALE], landscapes[BEALE].minimum);
	}
	free(path);
	return s;
}

static const char *steps_text(int steps, char text[16])
{
	snprintf(text, 16, "%d", steps);
	return steps < 0 ? "-" : text;
}

static void print_row(const entry *e, const result *m)
{
	char a[16], b[16], c[16];

	printf("%-32s %-9s %-6s %7s %7s %7s\n", e->text, m->adaptive ? "yes" : "no", m->units ? "yes" : "no",
	       steps_text(m->escape, a), steps_text(m->ravine, b), steps_text(m->beale, c));
	fflush(stdout);
}

/* ---- claims ---- */

static const result *result_of(const result *results, const char *name)
{
	for (int i = 0; i < COUNT; i++)
		if (!strncmp(entries[i].text, name, strlen(name)) && entries[i].text[strlen(name)] == '(')
			return &results[i];
	return NULL;
}

static int claim(bool holds, const char *what, const char *name)
{
	if (!holds)
		printf("does not hold: %s: %s\n", name, what);
	return holds;
}

static bool check_claims(const result *results)
{
	int sgd = result_of(results, "sgd")->escape, all = 0, hold = 0;

	for (int i = 0; i < COUNT; i++) {
		const entry *e = &entries[i];
		const result *m = &results[i];
		bool momentum = !strncmp(e->text, "momentum", 8) || !strncmp(e->text, "nesterov", 8);

		hold += claim(m->adaptive == e->adaptive, e->adaptive ? "adaptive" : "not adaptive", e->text);
		hold += claim(m->units == e->units, e->units ? "consistent units" : "no consistent units", e->text);
		hold += claim(m->escape > 0, "escapes the saddle", e->text);
		hold += claim(!e->by_element || 2 * m->escape < sgd, "escapes in half of SGD's steps", e->text);
		hold += claim(!momentum || m->escape < sgd, "escapes before SGD", e->text);
		hold += claim(e->circles == (m->ravine < 0 && m->beale < 0),
			      e->circles ? "circles around its minimum" : "comes to rest at a minimum", e->text);
		all += 6;
	}
	if (hold == all)
		printf("all %d claims hold\n", all);
	return hold == all;
}

/* ---- the program ---- */

static clef_status run_all(const runner *r, race_path *paths, result *results)
{
	clef_status s = CLEF_OK;

	printf("%-32s adaptive  units  escapes  ravine   Beale\n", "optimizer");
	for (int i = 0; i < COUNT && !s; i++) {
		race_path own[FUNCTIONS];

		for (int f = 0; f < FUNCTIONS && !s; f++) {
			s = race(r, f, &entries[i], (scales){ 1, 1, false }, &own[f]);
			paths[f * COUNT + i] = own[f];
		}
		if (!s)
			s = measure(r, &entries[i], own, &results[i]);
		if (!s)
			print_row(&entries[i], &results[i]);
	}
	return s;
}

int main(int argc, char **argv)
{
	race_path *paths = calloc(FUNCTIONS * COUNT, sizeof(*paths));
	result results[COUNT] = { { false } };
	runner r = { .dev = clef_device_open(NULL) };
	bool fine = false;

	r.tape = clef_tape_new(r.dev);
	if (!paths || !r.tape || run_all(&r, paths, results))
		fprintf(stderr, "optimizer_race: %s\n", paths ? clef_error() : "no memory");
	else
		fine = check_claims(results);
	clef_tape_free(r.tape);
	clef_device_close(r.dev);
#ifdef RACE_PICTURE
	if (fine && argc > 1)
		fine = race_draw(argv[1], landscapes, FUNCTIONS, paths, COUNT);
#else
	if (argc > 1) {
		fprintf(stderr, "optimizer_race: built without cairo, so there is no %s\n", argv[1]);
		fine = false;
	}
#endif
	free(paths);
	return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
