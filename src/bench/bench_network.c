/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole steps of networks. They run as in a training program, where nothing is waited for until the end; the parts of a
 * step are measured in steps of their own, with a wait behind each part.
 *
 * What is timed is what is checked: the first steps of a network that is then timed give losses, and a second network
 * from the same seed has to give the same bits.
 */
#include <clef/bench.h>
#include <clef/models.h>
#include <clef/ops.h>
#include <clef/optim.h>
#include <math.h>

#include "bench_internal.h"

enum { CHECK_STEPS = 3, CLASSES = 10, BATCH = 64, SEED = 1 };

#define OPTIM "sgd(lr=1e-4, momentum=0.9)"
/* With Adam a small rate, as for a fixed batch. */
#define ADAM     "adam(lr=1e-5)"
#define NESTEROV "sgd(lr=1e-4, momentum=0.9, nesterov)"

/* clang-format off */
#define MNIST { .ndim = 3, .dim = { 1, 28, 28 } }
#define CIFAR { .ndim = 3, .dim = { 3, 32, 32 } }
/* clang-format on */

/* The quick ones first. Those of tools/versus_torch are among them. */
static const clef_bench_network networks[] = {
	{ "mlp", MNIST, CLASSES, 100, ADAM },
	{ "convnet", CIFAR, CLASSES, 64, NESTEROV },
	{ "mlp(4000, 1)", CIFAR, CLASSES, 64, NESTEROV },
	{ "mlp(512, 4)", MNIST, CLASSES, 100, ADAM },
	{ "convnet(128)", CIFAR, CLASSES, 64, ADAM },
	{ "vgg", CIFAR, CLASSES, 64, OPTIM },
	{ "resnet18", CIFAR, CLASSES, 64, OPTIM },
	{ "mobilenet_v2", CIFAR, CLASSES, 64, OPTIM },
};

const clef_bench_network *clef_bench_networks(clef_bench_effort effort, int *count)
{
	*count = effort == CLEF_BENCH_QUICK ? 3 : CLEF_COUNT(networks);
	return networks;
}

typedef struct trainer {
	clef_bench *b;
	const clef_bench_network *net;
	clef_shape images, labels;
	clef_optim_opts rule;
	float *image, *output;
	int32_t *label;
	size_t output_bytes;
	clef_tape *tape;
	clef_model *model;
	clef_optim *optim;
	clef_tensor *x, *y, *loss;
	bool changed; /* an inference gave other bits than the first */
} trainer;

/* ---- the parts of a step ---- */

static clef_status enter(trainer *t, bool training)
{
	clef_array x = { CLEF_FLOAT32, t->images, t->image }, y = { CLEF_INT32, t->labels, t->label };
	clef_status s = training ? clef_tape_begin(t->tape) : clef_tape_begin_no_grad(t->tape);

	t->x = s ? NULL : clef_input(t->tape, &x);
	t->y = t->x && training ? clef_input(t->tape, &y) : NULL;
	return t->x && (t->y || !training) ? CLEF_OK : clef_error_status();
}

static clef_status forward(trainer *t)
{
	t->loss = clef_cross_entropy(clef_model_forward(t->model, t->x), t->y);
	return t->loss ? CLEF_OK : clef_error_status();
}

static clef_status step(void *what)
{
	trainer *t = what;
	clef_status s = enter(t, true);

	if (!s)
		s = forward(t);
	if (!s)
		s = clef_backward(t->loss);
	return s ? s : clef_optim_step(t->optim);
}

static clef_status infer(void *what)
{
	trainer *t = what;
	clef_tensor *y;
	clef_status s = enter(t, false);

	y = s ? NULL : clef_model_forward(t->model, t->x);
	return y ? clef_read(y, t->output, t->output_bytes) : clef_error_status();
}

/* ---- measuring ---- */

static clef_status timed(trainer *t, clef_status status, double *mark, double *seconds)
{
	clef_status s = status ? status : clef_finish(t->b->dev);
	double now = clef__seconds();

	*seconds = now - *mark;
	*mark = now;
	return s;
}

enum { DATA, FORWARD, BACKWARD, OPTIMIZER, PARTS };

/* One step with a wait behind each part; value[part]. */
static clef_status split_once(trainer *t, double value[PARTS])
{
	double mark = clef__seconds();
	clef_status s = timed(t, enter(t, true), &mark, &value[DATA]);

	if (!s)
		s = timed(t, forward(t), &mark, &value[FORWARD]);
	if (!s)
		s = timed(t, clef_backward(t->loss), &mark, &value[BACKWARD]);
	return s ? s : timed(t, clef_optim_step(t->optim), &mark, &value[OPTIMIZER]);
}

static clef_status split(trainer *t, clef_bench_row *row)
{
	clef_bench_stat *const part[PARTS] = { &row->data, &row->forward, &row->backward, &row->optimizer };
	/* As many as a step was timed, up to nine: their spread is not what anybody asks about. */
	int count = CLEF__MIN(CLEF__MAX(row->seconds.count, 3), 9);
	double value[PARTS][9], once[PARTS];
	clef_status s = CLEF_OK;

	for (int i = 0; i < count && !s; i++) {
		s = split_once(t, once);
		for (int p = 0; p < PARTS && !s; p++)
			value[p][i] = once[p];
	}
	for (int p = 0; p < PARTS && !s; p++)
		*part[p] = clef__bench_stat(value[p], count);
	return s;
}

static void count_step(clef_device_stats before, clef_device_stats behind, double runs, clef_bench_row *row)
{
	row->flops = (behind.flops - before.flops) / runs;
	row->bytes = (behind.bytes - before.bytes) / runs;
	row->launches = (double)(behind.launches - before.launches) / runs;
}

static void model_free(trainer *t)
{
	clef_optim_free(t->optim);
	clef_model_free(t->model);
	t->optim = NULL;
	t->model = NULL;
}

/* A network from the start, and its loss after the steps of the check. */
static clef_status start(trainer *t, double *loss)
{
	clef_status s;

	t->model = clef_model_parse(t->b->dev, t->net->model, t->net->input, t->net->classes,
				    &(clef_model_opts){ .seed = SEED });
	t->optim = t->model ? clef_optim_new(clef_model_params(t->model), &t->rule) : NULL;
	s = t->optim ? CLEF_OK : clef_error_status();
	for (int i = 0; i < CHECK_STEPS && !s; i++)
		s = step(t);
	if (!s) {
		*loss = clef_item(t->loss);
		s = clef_finish(t->b->dev);
	}
	return s;
}

/* NaN is not equal to itself, but two of them are no difference in bits that would matter here. */
static void check_losses(clef_bench_row *row, double first, double second)
{
	row->loss = first;
	if (!isfinite(first))
		clef__bench_set_state(row, CLEF_BENCH_WRONG,
				      clef__format("the loss after %d steps is %g", CHECK_STEPS, first));
	else if (first != second)
		clef__bench_set_state(row, CLEF_BENCH_WRONG,
				      clef__format("the loss after %d steps is %.9g, and %.9g when they are repeated",
						   CHECK_STEPS, first, second));
}

static clef_status measure_training(trainer *t, clef_bench_row *row)
{
	clef_device *dev = t->b->dev;
	double first = 0, second = 0;
	clef_device_stats before;
	clef_status s = start(t, &first);

	before = clef_device_get_stats(dev);
	if (!s)
		s = step(t);
	count_step(before, clef_device_get_stats(dev), 1, row);
	if (!s)
		s = clef__bench_time(t->b, step, t, &row->seconds);
	if (!s)
		s = split(t, row);
	row->memory = clef_device_get_stats(dev).memory_peak;
	model_free(t);
	if (!s)
		s = start(t, &second);
	if (!s)
		check_losses(row, first, second);
	return s;
}

/* As infer(), for the clock; every result is compared with the first, which takes no time that counts. */
static clef_status infer_again(void *what)
{
	trainer *t = what;
	float *first = t->output + t->output_bytes / sizeof(float);
	clef_status s = infer(t);

	t->changed |= !s && memcmp(t->output, first, t->output_bytes) != 0;
	return s;
}

static clef_status measure_inference(trainer *t, clef_bench_row *row)
{
	clef_device *dev = t->b->dev;
	size_t count = t->output_bytes / sizeof(float);
	clef_device_stats before;
	clef_status s = clef_model_train(t->model, false);

	before = clef_device_get_stats(dev);
	if (!s)
		s = infer(t);
	count_step(before, clef_device_get_stats(dev), 1, row);
	memcpy(t->output + count, t->output, t->output_bytes);
	if (!s)
		s = clef__bench_time(t->b, infer_again, t, &row->seconds);
	row->memory = clef_device_get_stats(dev).memory_peak;
	for (size_t i = 0; i < count && !s; i++)
		if (!isfinite(t->output[i])) {
			clef__bench_set_state(
				row, CLEF_BENCH_WRONG,
				clef__format("result %zu of %zu is %g", i + 1, count, (double)t->output[i]));
			break;
		}
	if (t->changed)
		clef__bench_set_state(row, CLEF_BENCH_WRONG,
				      clef__strdup("the same images gave other results when they were run again"));
	return s;
}

typedef clef_status measure_fn(trainer *t, clef_bench_row *row);

/* One row, between two probes. Fails only for what is no fault of the network. */
static clef_status measure(trainer *t, measure_fn *fn, const char *name, const char *pass, clef_bench_probe *probe)
{
	clef_bench_row *row = clef__bench_add(t->b, true, name, pass, t->net->model);
	clef_bench_probe before = *probe;
	clef_status s;

	if (!row)
		return clef_error_status();
	row->images = (double)t->net->batch;
	clef_device_trim(t->b->dev);
	clef_device_reset_peak(t->b->dev);
	if (fn(t, row))
		clef__bench_set_failed(row);
	s = clef__bench_probe_now(t->b, probe);
	if (!s && row->seconds.count)
		clef__bench_judge(&t->b->result.limits, before, *probe, CLEF__WINOGRAD_SAVES, row);
	return s;
}

/* ---- synthetic data ---- */

/* Values in [-1.7, 1.7) with a deviation of about 1, from a generator of Knuth's. */
static void fill(trainer *t, int64_t pixels)
{
	uint64_t state = 1;

	for (int64_t i = 0; i < pixels; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		t->image[i] = ((float)(state >> 40) * 0x1p-23f - 1.0f) * 1.7f;
	}
	for (int64_t i = 0; i < t->net->batch; i++)
		t->label[i] = (int32_t)(i % t->net->classes);
}

static clef_status prepare(trainer *t)
{
	const clef_bench_network *net = t->net;
	int64_t pixels;

	t->images.ndim = net->input.ndim + 1;
	t->images.dim[0] = net->batch;
	for (int i = 0; i < net->input.ndim && i < CLEF_MAX_DIMS - 1; i++)
		t->images.dim[i + 1] = net->input.dim[i];
	t->labels = CLEF_SHAPE(net->batch);
	pixels = net->input.ndim < CLEF_MAX_DIMS ? clef_shape_numel(t->images) : -1;
	if (pixels < 1 || net->classes < 1)
		return clef__fail(CLEF_ERROR_SHAPE, "clef_bench_network_run: %lld samples of %s and %d classes",
				  (long long)net->batch, CLEF__SHAPE_TEXT(net->input), net->classes);
	t->output_bytes = sizeof(float) * (size_t)(net->batch * net->classes);
	t->image = clef__calloc((size_t)pixels, sizeof(float), "images");
	t->label = clef__calloc((size_t)net->batch, sizeof(int32_t), "labels");
	t->output = clef__calloc(2, t->output_bytes, "results");
	if (!t->image || !t->label || !t->output)
		return CLEF_ERROR_MEMORY;
	fill(t, pixels);
	t->tape = clef_tape_new(t->b->dev);
	return t->tape ? CLEF_OK : clef_error_status();
}

static clef_status run(trainer *t)
{
	const clef_shape *in = &t->net->input;
	clef_bench_probe probe;
	char name[256], pass[256];
	clef_status s = prepare(t);
	int used;

	if (s)
		return s;
	used = snprintf(name, sizeof(name), "%s n%lld", t->net->model, (long long)t->net->batch);
	for (int i = 0; i < in->ndim && used < (int)sizeof(name); i++)
		used += snprintf(name + used, sizeof(name) - (size_t)used, " %c%lld", in->ndim == 3 ? "chw"[i] : 'x',
				 (long long)in->dim[i]);
	snprintf(pass, sizeof(pass), "train %s", t->net->optim);
	s = clef__bench_probe_now(t->b, &probe);
	if (!s)
		s = measure(t, measure_training, name, pass, &probe);
	if (!s && t->model)
		s = measure(t, measure_inference, name, "infer", &probe);
	return s;
}

clef_status clef_bench_network_run(clef_bench *b, const clef_bench_network *network)
{
	clef_bench_network net;
	trainer t = { .b = b, .net = &net };
	clef_status s;

	if (!b || !network || !network->model)
		return clef__null_argument("clef_bench_network_run");
	net = *network;
	net.classes = net.classes ? net.classes : CLASSES;
	net.batch = net.batch ? net.batch : BATCH;
	net.optim = net.optim ? net.optim : OPTIM;
	if (!b->result.limits.multiply_add.count)
		return clef__fail(CLEF_ERROR_STATE, "clef_bench_network_run: call clef_bench_limits() first");
	s = clef_model_check(net.model);
	if (!s)
		s = clef_optim_parse(net.optim, &t.rule);
	if (!s)
		s = run(&t);
	model_free(&t);
	clef_tape_free(t.tape);
	free(t.image);
	free(t.label);
	free(t.output);
	clef_device_trim(b->dev);
	return s;
}
