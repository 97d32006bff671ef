/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clef's side of tools/versus_torch: trains and runs one network for as many steps as it is told, and says how long
 * they took. A program of its own, so that what is timed is what a user's program would do, and so that the threads of
 * one library do not wait, spinning, in the process of the other.
 *
 *     versus_step MODEL CHANNELS SIZE OPTIMIZER BATCH SAMPLES FILE
 *
 * MODEL is what clef_model_parse() reads; samples are [channels, size, size].
 * FILE holds the samples, as float32, and their labels, as int32. Then standard input has one command a line, each
 * answered by one line:
 *
 *     weights FILE     writes the parameters, each as a line "NAME COUNT" with its float32 values behind it
 *     train STEPS      seconds, the loss of the last step, the host's own seconds, and kernels launched
 *     infer N STEPS    seconds of so many runs on the first N samples, each read back, and their loss
 *     memory           the highest number of bytes of device memory so far
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <clef/clef.h>

enum { CLASSES = 10, SEED = 1 };

typedef struct bench {
	clef_device *dev;
	clef_tape *tape;
	clef_model *model;
	clef_optim *optim;
	clef_shape sample;
	int64_t samples, batch, step;
	float *image;
	int32_t *label;
	float *logits; /* where inference puts its results */
} bench;

static double clock_seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static clef_status failed(const char *what)
{
	fprintf(stderr, "versus_step: %s\n", what ? what : clef_error());
	return CLEF_ERROR_INVALID;
}

static int64_t values_in(clef_shape shape)
{
	int64_t n = 1;

	for (int i = 0; i < shape.ndim; i++)
		n *= shape.dim[i];
	return n;
}

static clef_array images(const bench *b, int64_t first, int64_t count)
{
	clef_shape shape = CLEF_SHAPE(count, b->sample.dim[0], b->sample.dim[1], b->sample.dim[2]);

	return (clef_array){ .dtype = CLEF_FLOAT32, .shape = shape, .data = b->image + first * values_in(b->sample) };
}

static clef_array labels(const bench *b, int64_t first, int64_t count)
{
	return (clef_array){ .dtype = CLEF_INT32, .shape = CLEF_SHAPE(count), .data = b->label + first };
}

static clef_tensor *loss_of(bench *b, int64_t first, int64_t count)
{
	clef_array x = images(b, first, count), y = labels(b, first, count);
	clef_tensor *logits = clef_model_forward(b->model, clef_input(b->tape, &x));

	return clef_cross_entropy(logits, clef_input(b->tape, &y));
}

/* As in a training program: nothing is waited for until the end. */
static clef_status train(bench *b, int steps)
{
	uint64_t launches = clef_device_get_stats(b->dev).launches;
	double start, host;
	clef_tensor *loss = NULL;

	if (clef_model_train(b->model, true) || clef_finish(b->dev))
		return failed(NULL);
	start = clock_seconds(CLOCK_MONOTONIC);
	host = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
	for (int i = 0; i < steps; i++, b->step++) {
		int64_t first = b->step * b->batch % b->samples;

		if (clef_tape_begin(b->tape))
			return failed(NULL);
		loss = loss_of(b, first, b->batch);
		if (clef_backward(loss) || clef_optim_step(b->optim))
			return failed(NULL);
	}
	host = clock_seconds(CLOCK_THREAD_CPUTIME_ID) - host;
	if (clef_finish(b->dev))
		return failed(NULL);
	printf("%.9f ", clock_seconds(CLOCK_MONOTONIC) - start);
	printf("%.9g %.9f %llu\n", clef_item(loss), host,
	       (unsigned long long)(clef_device_get_stats(b->dev).launches - launches));
	return CLEF_OK;
}

static clef_status infer(bench *b, int64_t count, int steps)
{
	clef_array x = images(b, 0, count);
	double start;

	if (clef_model_train(b->model, false) || clef_finish(b->dev))
		return failed(NULL);
	start = clock_seconds(CLOCK_MONOTONIC);
	for (int i = 0; i < steps; i++) {
		clef_tensor *y;

		if (clef_tape_begin_no_grad(b->tape))
			return failed(NULL);
		y = clef_model_forward(b->model, clef_input(b->tape, &x));
		if (clef_read(y, b->logits, (size_t)count * CLASSES * sizeof(float)))
			return failed(NULL);
	}
	printf("%.9f ", clock_seconds(CLOCK_MONOTONIC) - start);
	if (clef_tape_begin_no_grad(b->tape))
		return failed(NULL);
	printf("%.9g\n", clef_item(loss_of(b, 0, count)));
	return CLEF_OK;
}

static clef_status write_weights(bench *b, const char *path)
{
	clef_params *params = clef_model_params(b->model);
	FILE *file = fopen(path, "wb");
	clef_status s = file ? CLEF_OK : failed("the file for the weights cannot be opened");

	for (int i = 0; i < clef_params_count(params) && !s; i++) {
		clef_tensor *w = clef_params_get(params, i);
		size_t count = (size_t)clef_tensor_numel(w);
		float *values = malloc(count * sizeof(*values));

		if (!values || clef_read(w, values, count * sizeof(*values)))
			s = failed(values ? NULL : "no memory");
		else if (fprintf(file, "%s %zu\n", clef_params_name(params, i), count) < 0 ||
			 fwrite(values, sizeof(*values), count, file) != count)
			s = failed("the weights cannot be written");
		free(values);
	}
	if (file && fclose(file) && !s)
		s = failed("the weights cannot be written");
	if (!s)
		puts("written");
	return s;
}

static clef_status obey(bench *b, const char *line)
{
	char path[4096];
	int steps;
	long count;

	if (sscanf(line, "train %d", &steps) == 1 && steps > 0)
		return train(b, steps);
	if (sscanf(line, "infer %ld %d", &count, &steps) == 2 && count > 0 && count <= b->samples && steps > 0)
		return infer(b, count, steps);
	if (sscanf(line, "weights %4095[^\n]", path) == 1)
		return write_weights(b, path);
	if (!strncmp(line, "memory", 6)) {
		printf("%llu\n", (unsigned long long)clef_device_get_stats(b->dev).memory_peak);
		return CLEF_OK;
	}
	return failed("a command was expected: train, infer, weights or memory");
}

static clef_status read_data(bench *b, const char *path)
{
	size_t pixels = (size_t)(b->samples * values_in(b->sample)), count = (size_t)b->samples;
	FILE *file = fopen(path, "rb");
	bool good;

	b->image = malloc(pixels * sizeof(*b->image));
	b->label = malloc(count * sizeof(*b->label));
	b->logits = malloc(count * CLASSES * sizeof(*b->logits));
	good = file && b->image && b->label && b->logits &&
	       fread(b->image, sizeof(*b->image), pixels, file) == pixels &&
	       fread(b->label, sizeof(*b->label), count, file) == count;
	if (file)
		fclose(file);
	return good ? CLEF_OK : failed("the samples cannot be read");
}

static clef_status open_bench(bench *b, char **argv)
{
	long channels = atol(argv[2]), size = atol(argv[3]);
	clef_optim_opts rule;

	b->sample = CLEF_SHAPE(channels, size, size);
	b->batch = atol(argv[5]);
	b->samples = atol(argv[6]);
	if (channels < 1 || size < 1 || b->batch < 1 || b->samples < 1 || b->samples % b->batch)
		return failed("sizes are 1 or more, and the number of samples a multiple of the batch");
	b->dev = clef_device_open(NULL);
	b->tape = clef_tape_new(b->dev);
	b->model = clef_model_parse(b->dev, argv[1], b->sample, CLASSES, &(clef_model_opts){ .seed = SEED });
	if (!b->tape || !b->model || clef_optim_parse(argv[4], &rule))
		return failed(NULL);
	b->optim = clef_optim_new(clef_model_params(b->model), &rule);
	return b->optim ? read_data(b, argv[7]) : failed(NULL);
}

int main(int argc, char **argv)
{
	bench b = { .dev = NULL };
	char line[4200];
	clef_status s = CLEF_OK;

	if (argc != 8) {
		fputs("usage: versus_step MODEL CHANNELS SIZE OPTIMIZER BATCH SAMPLES FILE\n", stderr);
		return 2;
	}
	s = open_bench(&b, argv);
	if (!s)
		printf("%s\n", clef_device_get_info(b.dev)->name);
	while (!s && !fflush(stdout) && fgets(line, sizeof(line), stdin))
		s = obey(&b, line);
	clef_optim_free(b.optim);
	clef_model_free(b.model);
	clef_tape_free(b.tape);
	clef_device_close(b.dev);
	free(b.image);
	free(b.label);
	free(b.logits);
	return s ? 1 : 0;
}
