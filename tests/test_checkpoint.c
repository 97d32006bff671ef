/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: a run that was stopped and goes on from its file does what an unbroken one does, to the bit, whatever
 * the optimizer, schedule and layers; and a file that does not fit changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "nn_case.h"

/* All that a run needs, made anew for each. */
typedef struct run {
	clef_checkpoint parts;
	clef_dataset *set;
	clef_rng rng;
} run;

static const char net[] = "linear(12) batch_norm relu dropout(0.3) linear(4)";

static clef_dataset *make_set(void)
{
	uint8_t x[44 * 6], y[44];

	for (int i = 0; i < 44; i++) {
		y[i] = (uint8_t)(i % 4);
		for (int k = 0; k < 6; k++)
			x[6 * i + k] = (uint8_t)(37 * i * (k + 3) + 50 * (i % 4));
	}
	return ck_new(clef_dataset_new(x, y, 44, CLEF_SHAPE(6), 4));
}

static run start(const char *optim, const char *schedule, float decay, uint64_t seed)
{
	clef_schedule_opts schedule_opts;
	clef_optim_opts optim_opts;
	clef_layer *layers;
	int count;
	run r = { .set = make_set(), .rng = { seed, 0 } };

	ck_ok(clef_layers_parse(net, &layers, &count));
	r.parts.model = ck_new(
		clef_sequential_new(test_device, layers, count, CLEF_SHAPE(6), &(clef_model_opts){ .seed = seed }));
	free(layers);
	ck_ok(clef_optim_parse(optim, &optim_opts));
	r.parts.optim = ck_new(clef_optim_new(clef_model_params(r.parts.model), &optim_opts));
	if (schedule) {
		ck_ok(clef_schedule_parse(schedule, &schedule_opts));
		r.parts.schedule = ck_new(clef_schedule_new(r.parts.optim, &schedule_opts));
		free((void *)schedule_opts.at);
	}
	if (decay > 0)
		r.parts.average = ck_new(clef_average_new(clef_model_params(r.parts.model), decay));
	r.parts.loader = ck_new(
		clef_loader_open(r.set, &(clef_loader_opts){ .batch = 8, .shuffle = true, .seed = 5, .std = 0.5f }));
	return r;
}

/* With the random numbers, whose address changes while a run is being made. */
static clef_checkpoint parts_of(run *r)
{
	clef_checkpoint parts = r->parts;

	parts.rng = &r->rng;
	return parts;
}

static void end(run *r)
{
	clef_average_free(r->parts.average);
	clef_schedule_free(r->parts.schedule);
	clef_optim_free(r->parts.optim);
	clef_model_free(r->parts.model);
	clef_loader_close(r->parts.loader);
	clef_dataset_free(r->set);
}

/* Batches of the loader, over the ends of its epochs. */
static void train(run *r, int steps)
{
	clef_batch b;

	while (steps > 0) {
		float noise;
		const clef_array scalar = { CLEF_FLOAT32, CLEF_SCALAR, &noise };
		clef_tensor *loss;

		if (!clef_loader_next(r->parts.loader, &b))
			continue;
		clef_rng_uniform(&r->rng, &noise, 1);
		ck_ok(clef_tape_begin(nn_tape));
		loss = clef_cross_entropy(clef_model_forward(r->parts.model, clef_input(nn_tape, &b.images)),
					  clef_input(nn_tape, &b.labels));
		ck_ok(clef_backward(clef_mul(loss, clef_input(nn_tape, &scalar))));
		ck_ok(clef_optim_step(r->parts.optim));
		if (r->parts.average)
			ck_ok(clef_average_update(r->parts.average));
		if (r->parts.schedule)
			ck_ok(clef_schedule_step(r->parts.schedule));
		steps--;
	}
}

/* Both have the same weights, and after `swap` the same averages. */
static void check_values(const run *a, const run *b)
{
	clef_params *p = clef_model_params(a->parts.model), *q = clef_model_params(b->parts.model);

	for (int i = 0; i < clef_params_count(p); i++)
		nn_check_same(clef_params_get(p, i), clef_params_get(q, i));
	nn_check_same(clef_model_buffer(a->parts.model, "1.running_mean"),
		      clef_model_buffer(b->parts.model, "1.running_mean"));
	nn_check_same(clef_model_buffer(a->parts.model, "1.running_var"),
		      clef_model_buffer(b->parts.model, "1.running_var"));
}

static void check_same(const run *a, const run *b)
{
	float rates[2] = { clef_optim_get_lr(a->parts.optim), clef_optim_get_lr(b->parts.optim) };

	check_values(a, b);
	ck_assert_mem_eq(&rates[0], &rates[1], sizeof(float));
	ck_assert_uint_eq(a->rng.counter, b->rng.counter);
	ck_assert_int_eq(clef_loader_epoch(a->parts.loader), clef_loader_epoch(b->parts.loader));
	ck_assert_int_eq(clef_loader_index(a->parts.loader), clef_loader_index(b->parts.loader));
	if (a->parts.average) {
		ck_assert(clef_average_ready(a->parts.average) && clef_average_ready(b->parts.average));
		ck_ok(clef_average_swap(a->parts.average));
		ck_ok(clef_average_swap(b->parts.average));
		check_values(a, b);
		ck_ok(clef_average_swap(a->parts.average));
		ck_ok(clef_average_swap(b->parts.average));
	}
}

static void check_resume(const char *optim, const char *schedule, float decay, int before, int after)
{
	run whole = start(optim, schedule, decay, 1), first = start(optim, schedule, decay, 1);
	run second = start(optim, schedule, decay, 2);
	clef_checkpoint parts = parts_of(&first);

	train(&whole, before + after);
	train(&first, before);
	ck_ok(clef_checkpoint_save(&parts, test_path("run.safetensors")));
	check_same(&first, &first);
	parts = parts_of(&second);
	ck_ok(clef_checkpoint_load(&parts, test_path("run.safetensors")));
	check_same(&first, &second);
	train(&second, after);
	check_same(&whole, &second);
	end(&whole);
	end(&first);
	end(&second);
}

START_TEST(checkpoint_every_optimizer)
{
	static const char *const rules[] = {
		"sgd",
		"momentum",
		"nesterov(0.1)",
		"sgd(0.1, momentum=0.9, classical)",
		"adagrad",
		"adadelta",
		"rmsprop(momentum=0.5, centered)",
		"adam(amsgrad)",
		"adamw",
		"adamax",
		"nadam",
		"radam",
		"rprop",
		"asgd(t0=3)",
		"lion",
		"lars",
		"lamb",
		"adafactor",
	};

	for (int i = 0; i < CLEF_COUNT(rules); i += test_small() ? 6 : 1)
		check_resume(rules[i], NULL, 0, 4 + i % 5, 5);
}
END_TEST

START_TEST(checkpoint_every_schedule)
{
	static const char *const rules[] = {
		"constant(0.5, 7)",           "step(3, 0.5)",       "multistep(2, 7, factor=0.5)",
		"exponential(0.9)",           "cosine(12)",         "restarts(4, multiple=2)",
		"one_cycle(12, three_phase)", "linear(9, 0.5)",     "polynomial(12, power=2)",
		"plateau(patience=1)",        "cosine(9, warmup=6)"
	};

	for (int i = 0; i < CLEF_COUNT(rules); i += test_small() ? 5 : 1)
		check_resume("adam", rules[i], i % 2 ? 0.9f : 0, i, 12 - i);
}
END_TEST

/* What a plateau has seen comes back. */
START_TEST(checkpoint_of_a_plateau)
{
	run a = start("sgd(1)", "plateau(0.5, patience=1, cooldown=2)", 0, 1);
	run b = start("sgd(1)", "plateau(0.5, patience=1, cooldown=2)", 0, 1);
	const clef_checkpoint parts[] = { parts_of(&a), parts_of(&b) };

	train(&a, 1);
	for (int i = 0; i < 12; i++) {
		ck_ok(clef_checkpoint_save(&parts[0], test_path("plateau")));
		ck_ok(clef_checkpoint_load(&parts[1], test_path("plateau")));
		ck_ok(clef_schedule_report(a.parts.schedule, 1 - 0.1 * i * (i < 3)));
		ck_ok(clef_schedule_report(b.parts.schedule, 1 - 0.1 * i * (i < 3)));
		check_same(&a, &b);
	}
	ck_assert(clef_optim_get_lr(a.parts.optim) < 0.6f);
	end(&a);
	end(&b);
}
END_TEST

/* ---- what does not fit ---- */

START_TEST(checkpoint_that_does_not_fit)
{
	run a = start("adam", "cosine(12)", 0.9f, 1), before = start("adam", "cosine(12)", 0.9f, 2), b;
	clef_checkpoint parts = parts_of(&a);
	clef_dataset *small;
	clef_loader *other;

	train(&a, 3);
	ck_ok(clef_checkpoint_save(&parts, test_path("a")));
	b = start("adamw", "cosine(12)", 0.9f, 2);
	ck_fails(clef_checkpoint_load(&b.parts, test_path("a")), CLEF_ERROR_FORMAT,
		 "the optimizer is adamw, but that of the file is adam");
	end(&b);
	b = start("adam", "step(12)", 0.9f, 2);
	ck_fails(clef_checkpoint_load(&b.parts, test_path("a")), CLEF_ERROR_FORMAT,
		 "the schedule is step, but that of the file is cosine");
	end(&b);
	b = start("adam(amsgrad)", "cosine(12)", 0.9f, 2);
	ck_fails(clef_checkpoint_load(&b.parts, test_path("a")), CLEF_ERROR_FORMAT, "max_exp_avg_sq is missing");
	end(&b);
	b = start("adam", "cosine(12)", 0.9f, 2);
	small = make_set();
	other = ck_new(clef_loader_open(small, &(clef_loader_opts){ .batch = 9 }));
	parts = parts_of(&b);
	parts.loader = other;
	ck_fails(clef_checkpoint_load(&parts, test_path("a")), CLEF_ERROR_FORMAT,
		 "the loader has 5 batches in an epoch, but that of the file has 6");
	clef_loader_close(other);
	clef_dataset_free(small);
	/* A file without some of the parts. */
	ck_ok(clef_checkpoint_save(&(clef_checkpoint){ .model = a.parts.model, .loader = a.parts.loader },
				   test_path("less")));
	parts = parts_of(&b);
	ck_fails(clef_checkpoint_load(&parts, test_path("less")), CLEF_ERROR_FORMAT, "that of the file is missing");
	parts.optim = NULL;
	parts.schedule = NULL;
	ck_fails(clef_checkpoint_load(&parts, test_path("less")), CLEF_ERROR_FORMAT, "average:started is missing");
	parts.average = NULL;
	ck_fails(clef_checkpoint_load(&parts, test_path("less")), CLEF_ERROR_FORMAT, "rng:own is missing");
	check_values(&b, &before);
	ck_assert(!clef_average_ready(b.parts.average) && !clef_average_ready(NULL));
	ck_assert_int_eq(clef_loader_index(b.parts.loader), 0);
	parts.rng = NULL;
	ck_ok(clef_checkpoint_load(&parts, test_path("less")));
	check_values(&a, &b);
	/* Averages in use. */
	ck_ok(clef_average_swap(a.parts.average));
	ck_fails(clef_checkpoint_save(&a.parts, test_path("b")), CLEF_ERROR_STATE, "clef_average_swap() first");
	ck_fails(clef_checkpoint_load(&a.parts, test_path("a")), CLEF_ERROR_STATE, "clef_average_swap() first");
	end(&a);
	end(&b);
	end(&before);
}
END_TEST

/* Arrays and texts of a program's own, beside the parts; a model alone takes its share. */
START_TEST(checkpoint_with_more_in_it)
{
	run a = start("adam", NULL, 0, 1), b = start("adam", NULL, 0, 2);
	clef_checkpoint parts = parts_of(&a);
	clef_safetensors *file = ck_new(clef_safetensors_new());
	const double best = 0.25;
	clef_safetensors_entry e;
	clef_model *model;

	train(&a, 2);
	ck_ok(clef_checkpoint_put(&parts, file));
	ck_ok(clef_safetensors_add(file, "my:best", "F64", CLEF_SCALAR, &best));
	ck_ok(clef_safetensors_set(file, "my.comment", "so far so good"));
	ck_ok(clef_safetensors_save(file, test_path("more"), true));
	clef_safetensors_free(file);
	file = ck_new(clef_safetensors_open(test_path("more")));
	parts = parts_of(&b);
	ck_ok(clef_checkpoint_get(&parts, file));
	check_same(&a, &b);
	ck_ok(clef_safetensors_get(file, clef_safetensors_find(file, "my:best"), &e));
	ck_assert_mem_eq(e.data, &best, sizeof(best));
	ck_assert_str_eq(clef_safetensors_text(file, "my.comment"), "so far so good");
	clef_safetensors_free(file);
	model = ck_new(clef_model_open(test_device, test_path("more")));
	nn_check_same(clef_params_get(clef_model_params(a.parts.model), 0),
		      clef_params_get(clef_model_params(model), 0));
	ck_ok(clef_model_load(b.parts.model, test_path("more")));
	ck_fails(clef_checkpoint_save(NULL, "x"), CLEF_ERROR_INVALID, "NULL");
	ck_fails(clef_checkpoint_load(&parts, NULL), CLEF_ERROR_INVALID, "NULL");
	ck_fails(clef_checkpoint_load(&parts, test_path("missing")), CLEF_ERROR_IO, "No such file");
	clef_model_free(model);
	end(&a);
	end(&b);
}
END_TEST

Suite *checkpoint_suite(void)
{
	Suite *s = suite_create("checkpoint");
	TCase *c = nn_add_case(s, "checkpoint");

	tcase_set_timeout(c, 120);
	tcase_add_test(c, checkpoint_every_optimizer);
	tcase_add_test(c, checkpoint_every_schedule);
	tcase_add_test(c, checkpoint_of_a_plateau);
	tcase_add_test(c, checkpoint_that_does_not_fit);
	tcase_add_test(c, checkpoint_with_more_in_it);
	return s;
}
