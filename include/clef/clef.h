/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clef: train neural networks on any OpenCL device, in C.
 *
 * This header includes the whole library. The chapters, from simple to advanced:
 *
 *   base.h     status codes, the last error, log messages, shapes, host arrays
 *   device.h   finding, opening and observing devices
 *   tensor.h   tensors, the tape, gradients
 *   ops.h      operations on tensors (pointwise.def lists the pointwise ones)
 *   init.h     random numbers and initializers (torch.nn.init)
 *   nn.h       parameters, models, layers (torch.nn)
 *   models.h   models as text, and networks by name
 *   optim.h    optimizers (torch.optim)
 *   schedule.h learning rates that change (torch.optim.lr_scheduler)
 *   data.h     data sets and the loader (torch.utils.data)
 *   checkpoint.h   files of weights, and of all that a training run depends on
 *   check.h    is every operation right on this device?
 *   bench.h    how fast it is, and what the device could do
 *   tune.h     the fastest implementations on this device, by measuring
 *
 * A training program needs this much (see examples/ for complete ones):
 *
 *   clef_device *dev = clef_device_open(NULL);
 *   clef_tape *tape = clef_tape_new(dev);
 *   clef_model *model = clef_sequential_new(dev, layers, CLEF_COUNT(layers), CLEF_SHAPE(1, 28, 28), NULL);
 *   clef_optim *opt = clef_adam_new(clef_model_params(model), &(clef_adam_opts){ .lr = 1e-3f });
 *   while (clef_loader_next(loader, &b)) {
 *       clef_tape_begin(tape);
 *       loss = clef_cross_entropy(clef_model_forward(model, clef_input(tape, &b.images)), clef_input(tape, &b.labels));
 *       if (clef_backward(loss) || clef_optim_step(opt))
 *           break;
 *   }
 *
 * Errors. A function that does something returns a clef_status, 0 on success. A function that makes something
 * returns it, or NULL. clef_error() then tells what went wrong, in words. An operation given NULL returns NULL
 * and keeps the message, so a whole model can be one expression that is checked once, at clef_backward() or
 * clef_item().
 *
 * Threads. A device and everything made on it belong to one thread at a time; two devices may be used from two
 * threads. The last error is kept per thread.
 */
#ifndef CLEF_CLEF_H
#define CLEF_CLEF_H

#include <clef/base.h>
#include <clef/bench.h>
#include <clef/check.h>
#include <clef/checkpoint.h>
#include <clef/data.h>
#include <clef/device.h>
#include <clef/init.h>
#include <clef/models.h>
#include <clef/nn.h>
#include <clef/ops.h>
#include <clef/optim.h>
#include <clef/schedule.h>
#include <clef/tensor.h>
#include <clef/tune.h>

#endif
