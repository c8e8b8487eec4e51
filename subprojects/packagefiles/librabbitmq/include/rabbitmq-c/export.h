/* static: nothing to export */
#ifndef RABBITMQ_C_EXPORT_H
#define RABBITMQ_C_EXPORT_H
#define AMQP_EXPORT
#define AMQP_NO_EXPORT
#define AMQP_DEPRECATED __attribute__((__deprecated__))
#define AMQP_DEPRECATED_EXPORT AMQP_EXPORT AMQP_DEPRECATED
#endif
