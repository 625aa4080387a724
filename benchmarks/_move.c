/* Passes that move the bytes of a momentum layer and compute next to nothing: what the fused step is
 * measured against. */
#include <stdint.h>

typedef int64_t I;

void forward(I size, I *restrict x, I *restrict v, I *restrict b, const float *restrict f,
             float *restrict y) {
    _Pragma("omp parallel for if (size > 32768)")
    for (I j = 0; j < size; j++) {
        x[j] += 1;
        v[j] += 1;
        b[j] += 1;
        y[j] = f[j];
    }
}

void expose(I size, I *restrict x, const I *restrict v, float *restrict y) {
    _Pragma("omp parallel for if (size > 32768)")
    for (I j = 0; j < size; j++) {
        x[j] -= v[j];
        y[j] = 1.0f;
    }
}

void retreat(I size, I *restrict v, I *restrict b, const float *restrict f) {
    _Pragma("omp parallel for if (size > 32768)")
    for (I j = 0; j < size; j++) {
        v[j] += f[j] > 0.0f;
        b[j] += 1;
    }
}
