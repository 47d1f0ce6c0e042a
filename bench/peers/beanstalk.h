/*
 * beanstalk.h - jobs through two tubes of beanstalkd, by its protocol of lines over TCP.
 *
 * The worker says in one write: here is the reply, delete the job, give me the next one.
 */
#ifndef BEANSTALK_H
#define BEANSTALK_H

#include "bench.h"

measure_fn beanstalk_pools; /* as pools.h says */

#endif
