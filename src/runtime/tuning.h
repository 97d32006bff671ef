/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Choices among implementations: how a problem, such as one convolution of one size, is computed on a device. They are
 * kept in the device and in the user's tuning file.
 *
 * Where there is a choice, the order is: what the environment forces; what is kept; what a short measurement at the
 * first use finds, which is then kept; the rules that are shipped. Who chooses asks clef__tuning_wanted() first, which
 * is all that a choice costs where nothing is kept and nothing is measured.
 */
#ifndef CLEF_TUNING_H
#define CLEF_TUNING_H

#include "runtime.h"

#define CLEF__TUNING_PARAMS 18 /* CLBlast has the most */
#define CLEF__TUNING_NAME   20
#define CLEF__KEY_TEXT      320

/* An implementation by name, with parameters; without them it follows its own rules. */
typedef struct clef__choice {
	char name[CLEF__TUNING_NAME];
	struct {
		char name[10]; /* "": no more of them */
		int value;
	} param[CLEF__TUNING_PARAMS];
} clef__choice;

typedef struct clef__tuned {
	char problem[CLEF__KEY_TEXT];
	clef__choice choice;
	char shipped[CLEF__TUNING_NAME]; /* what the shipped rules say */
	double ms, shipped_ms;           /* of one run of each */
	bool first_use;                  /* found at the first use, in little time, not by clef tune */
	char wrong[128];                 /* texts of those that were set aside, with blanks between */
} clef__tuned;

/* ---- choices ---- */

clef__choice clef__choice_make(const char *name);
void clef__choice_add(clef__choice *c, const char *param, int value);
/* The parameter, or `otherwise` where it has none of that name. */
int clef__choice_get(const clef__choice *c, const char *param, int otherwise);
/* "cpu", "cpu(kc=256,nc=64)". */
#define CLEF__CHOICE_TEXT 320
const char *clef__choice_text(const clef__choice *c, char text[CLEF__CHOICE_TEXT]);

/* ---- problems as text: tuning_key.c ---- */

/* Appends " c3" to the text of a problem, which must have room. */
void clef__key_add(char *text, const char *name, int value);

/* An int of a struct, by name; the table ends with a name of NULL. */
typedef struct clef__key_field {
	const char *name;
	size_t offset;
	int otherwise; /* left out of the text where it has this */
	int least;     /* that a text may say */
} clef__key_field;

/* Appends all fields, and reads them all, from a text like " n64 c3"; false for what it does not consist of. */
void clef__key_write(char text[CLEF__KEY_TEXT], const clef__key_field *fields, const void *problem);
bool clef__key_read(const char *text, const clef__key_field *fields, void *problem);

/* ---- what is kept ---- */

/* Reads the environment and the tuning file. Only what the user asked for and cannot have is an error. */
clef_status clef__tuning_open(clef_device *dev);
void clef__tuning_close(clef_device *dev);

/* False: take the shipped rules without a look at the problem. */
bool clef__tuning_wanted(const clef_device *dev);

/* Whoever is about to choose tells the problem; NULL: nothing is kept about it. Valid until it is kept or forgotten. */
const clef__tuned *clef__tuning_find(clef_device *dev, const char *problem);

/* The same, and nobody is told. */
const clef__tuned *clef__tuning_look(const clef_device *dev, const char *problem);

/* Seconds that a measurement at the first use may take; 0: none wanted. */
double clef__tuning_first_use(const clef_device *dev);

/* Keeps it in the device and, with `file`, in the tuning file. Fails only without memory: a disk that does not take it
 * gets one warning. */
clef_status clef__tuning_keep(clef_device *dev, const clef__tuned *t, bool file);

/* What was kept cannot be: one warning, and it is forgotten by this device, not by the file. */
void clef__tuning_refuse(clef_device *dev, const char *problem, const char *why);

/* Forgets one, or all for NULL, of this device and clef, in the file too. *count is how many there were. */
clef_status clef__tuning_forget(clef_device *dev, const char *problem, int *count);

/* Those kept, sorted by problem. */
int clef__tuning_count(const clef_device *dev);
const clef__tuned *clef__tuning_get(const clef_device *dev, int i);

/* The file's path, or NULL where none is kept. */
const char *clef__tuning_path(const clef_device *dev);

/* False: shipped rules alone are used until it is true again. */
void clef__tuning_use(clef_device *dev, bool use);

/* ---- problems that occur ---- */

/* Until it is called with NULL: every problem that is chosen for is told to `fn`, and none is measured in passing. */
typedef void (*clef__key_fn)(void *user, const char *problem);
void clef__tuning_watch(clef_device *dev, clef__key_fn fn, void *user);

/* ---- tuning_measure.c ---- */

typedef struct clef__candidate {
	clef__choice choice;
	bool checked;   /* known to be right without check() */
	double seconds; /* the best so far; before it has run, an estimate or 0 for none */
	bool timed, out;
} clef__candidate;

/* How much of it whoever asks for a measurement wants. */
typedef struct clef__measure_opts {
	double seconds;           /* to spend */
	bool (*stop)(void *user); /* asked between runs; NULL: never */
	void *user;
} clef__measure_opts;

/* A measurement. Candidate 0 is what the shipped rules say. */
typedef struct clef__trial {
	clef_device *dev;
	const char *problem;
	clef__candidate *candidate;
	int count;
	/* Enqueues one run. */
	clef_status (*run)(void *user, const clef__choice *c);
	/* Runs once and compares with a result that is known to be right. */
	clef_status (*check)(void *user, const clef__choice *c, bool *good);
	void *user;
	const clef__measure_opts *how;
} clef__trial;

/*
 * Checks and times the candidates in turn and fills in *t. Those that are wrong or fail are set aside, with a warning.
 * *done is false where it was stopped, or time ran out before two could be compared; then *t is what the shipped rules
 * say. Fails where memory is short.
 */
clef_status clef__trial_run(clef__trial *trial, clef__tuned *t, bool *done);

/* Keeps what a measurement at the first use found, and returns it as kept. NULL where `measured` says that it failed,
 * which is forgotten: without memory for it the rules hold, this once. */
const clef__tuned *clef__trial_keep(clef_device *dev, clef_status measured, clef__tuned *t);

/* gemm_tune.c: measures a product, "gemm m64 n10 k256 tb", as above. */
clef_status clef__gemm_measure(clef_device *dev, const char *problem, const clef__measure_opts *how, clef__tuned *t,
			       bool *done);

/* gemm_clblast_tune.c: measures parameters of CLBlast's kernels, "clblast direct" and "clblast indirect". There is no
 * way back from parameters to CLBlast's own within a process: where those are the best, the best others are in use
 * until it ends. */
clef_status clef__clblast_measure(clef_device *dev, const char *problem, const clef__measure_opts *how, clef__tuned *t,
				  bool *done);
clef_status clef__clblast_measurable(clef_device *dev, const char *problem);

/* The text that is kept for "clblast direct", which has CLBlast's version in it; what is no such text as it is. */
const char *clef__clblast_named(const char *problem);

/* launch_tune.c: measures "launch norm norm_forward log20", 2^20 work-items and more, of which one must have occurred
 * while problems were watched; it is held, with its buffers, until all are released. */
clef_status clef__launch_measure(clef_device *dev, const char *problem, const clef__measure_opts *how, clef__tuned *t,
				 bool *done);
clef_status clef__launch_measurable(clef_device *dev, const char *problem);
void clef__launches_release(clef_device *dev);

/* Whether it could; ERROR_INVALID for what is no product, ERROR_STATE where $CLEF_GEMM leaves no choice. */
clef_status clef__gemm_measurable(clef_device *dev, const char *problem);

#endif
