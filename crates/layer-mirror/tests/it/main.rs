//! Mirrors of directories of this machine, through the layer and its log.

mod rig;

mod arriving;
mod breaking;
mod order;
mod outliving;
mod verifying;
mod wire;
